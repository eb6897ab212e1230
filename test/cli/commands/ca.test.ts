/** `sallyport ca ...`, as an operator uses it. */
import test from 'ava';
import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { startSallyport } from '../../helpers/process.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

interface Ended { readonly code: number | undefined; readonly stdout: string; readonly stderr: string }

async function ca(lifetime: Lifetime, data: string, ...args: readonly string[]): Promise<Ended> {
  const process_ = startSallyport(lifetime, ['ca', ...args], { env: { PATH: process.env['PATH'], HOME: process.env['HOME'], SALLYPORT_DATA: data } });
  const { code } = await process_.exit(60_000);
  return { code, stdout: process_.stdout(), stderr: process_.stderr() };
}

interface Row { readonly id: string; readonly role: string; readonly signs_from: number; readonly trusted_until: number | null; readonly not_after: number; readonly sha256: string }
const rows = ({ stdout }: Ended): readonly Row[] => (JSON.parse(stdout) as { readonly authorities: readonly Row[] }).authorities;

test('before anything was started: nothing to show and no folder made, an export makes the first one, and shows what it exported', async (t) => {
  const data = join(await temporaryFolder(t), 'd');
  const none = await ca(t, data, 'show');
  t.is(none.code, 0, none.stderr);
  t.regex(none.stdout, /There is no authority yet/);
  t.deepEqual(rows(await ca(t, data, 'show', '--json')), []);
  t.false(existsSync(data));

  const exported = await ca(t, data, 'export');
  t.is(exported.code, 0, exported.stderr);
  const certificate = new X509Certificate(exported.stdout);
  t.is(exported.stdout, certificate.toString());
  const shown = await ca(t, data, 'show');
  t.regex(shown.stdout, /^Sallyport CA [0-9a-f]{16}: signs since \d{4}-/);
  t.true(shown.stdout.includes(certificate.fingerprint256));
  t.true(certificate.subject.includes(`CN=Sallyport CA ${/CA ([0-9a-f]{16})/.exec(shown.stdout)?.[1]}`));
});

test('a rotation: the next one is exported at once and signs later; said again without overlap it signs now', async (t) => {
  const data = join(await temporaryFolder(t), 'd');
  const out = join(await temporaryFolder(t), 'ca.pem');
  await ca(t, data, 'export', '--out', out);
  const [first] = rows(await ca(t, data, 'show', '--json'));
  const before = Date.now();
  const rotated = rows(await ca(t, data, 'rotate', '--overlap', '36h', '--json'));
  t.like(rotated, [{ id: first?.id, role: 'signs', sha256: first?.sha256 }, { role: 'will_sign', trusted_until: null }]);
  const begins = rotated[1]!.signs_from - 36 * 3_600_000;
  t.true(begins >= before && begins <= Date.now());
  t.true((rotated[0]?.trusted_until ?? 0) >= rotated[1]!.signs_from + 7 * 86_400_000);

  t.deepEqual(JSON.parse((await ca(t, data, 'export', '--out', out, '--json')).stdout), { certificates: 2, out });
  const pem = readFileSync(out, 'utf8');
  t.deepEqual((pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []).map((one) => new X509Certificate(one).fingerprint256), rotated.map(({ sha256 }) => sha256));
  t.is(statSync(out).mode & 0o777, 0o644 & ~process.umask());

  const now = await ca(t, data, 'rotate', '--overlap', '0');
  t.regex(now.stdout, new RegExp(`CA ${first?.id}: has signed\n[^]*CA ${rotated[1]!.id}: signs since `));
  t.is(rows(await ca(t, data, 'show', '--json')).length, 2);
});

test('nothing that is printed holds a key', async (t) => {
  const data = join(await temporaryFolder(t), 'd');
  const outputs = [];
  for (const args of [['export'], ['export', '--json'], ['rotate'], ['rotate', '--json', '--overlap', '0'], ['show'], ['show', '--json']]) outputs.push(await ca(t, data, ...args));
  const [file = ''] = readdirSync(join(data, 'ca'));
  const state = JSON.parse(readFileSync(join(data, 'ca', file), 'utf8')) as { authorities: { private_key: string | null }[] };
  const secrets = state.authorities.flatMap(({ private_key }) => private_key?.split('\n').filter((line) => line !== '' && !line.startsWith('-')) ?? []);
  t.true(secrets.length > 0);
  for (const { code, stdout, stderr } of outputs) {
    t.is(code, 0, stderr);
    t.false([...secrets, 'PRIVATE'].some((secret) => (stdout + stderr).includes(secret)));
  }
});

const mistakes: readonly (readonly [args: readonly string[], sentence: RegExp, next: RegExp])[] = [
  [[], /sallyport ca needs one of show, export, rotate/, /sallyport ca --help/],
  [['rotate', '--overlap', 'soon'], /--overlap: "soon" is not a time/, /sallyport ca rotate --help/],
  [['rotate', '--overlap', '91d'], /--overlap: "91d" is longer than 90 days/, /sallyport ca rotate --help/],
  [['export', '--out', '/nowhere/ca.pem'], /--out \/nowhere\/ca\.pem cannot be written/, /sallyport ca export --help/],
];
for (const [args, sentence, next] of mistakes) {
  test(`sallyport ca ${args.join(' ')}: a sentence, and nothing is rotated`, async (t) => {
    const data = join(await temporaryFolder(t), 'd');
    const { code, stdout, stderr } = await ca(t, data, ...args);
    t.is(code, 64, stderr);
    t.is(stdout, '');
    t.regex(stderr, sentence);
    t.regex(stderr, next);
    t.true(rows(await ca(t, data, 'show', '--json')).length <= 1);
  });
}

test('authorities that others can read are an error with the way out, and are left as they are', async (t) => {
  const data = join(await temporaryFolder(t), 'd');
  await ca(t, data, 'export');
  const file = join(data, 'ca', 'authorities.1.json');
  const before = readFileSync(file, 'utf8');
  chmodSync(file, 0o644);
  for (const args of [['show'], ['export'], ['rotate']]) {
    const { code, stdout, stderr } = await ca(t, data, ...args);
    t.is(code, 78);
    t.is(stdout, '');
    t.regex(stderr, /^sallyport: Others can reach .*authorities\.1\.json \(mode 0644\)[^\n]+\n {2}If nobody has read it: chmod go= /);
  }
  t.is(readFileSync(file, 'utf8'), before);
});
