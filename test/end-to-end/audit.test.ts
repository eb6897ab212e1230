/** The record as an auditor meets it: exported by the command, verified offline, changed in every way. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin } from '../helpers/origin.ts';
import { startSallyport } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

let installation: Installation;
let folder: string;
let lines: string[];
let key: string;

const file = fileLifetime();
test.before(async (t) => {
  const zone = dnsZone(file);
  installation = await startInstallation(file);
  const site = await startOrigin(file);
  const host = await zone.set('site', [site.address]);
  for (const path of ['/a', '/b']) {
    await installation.run(['--allow', `${host}:80:GET`], ['sh', '-c', `curl -s http://${host}${path}; curl -s http://denied.test/`]);
  }
  folder = await temporaryFolder(file);
  const { code, stderr } = await installation.command(['audit', 'export', '--out', join(folder, 'trail.jsonl')]);
  t.is(code, 0, stderr);
  lines = (await readFile(join(folder, 'trail.jsonl'), 'utf8')).trimEnd().split('\n');
  key = join(installation.data, 'keys', 'seal.pub');
});

/** Verifies with nothing but the export and the pinned key: no data folder, no control plane. */
async function verify(t: Parameters<typeof startSallyport>[0], changed: readonly string[], name: string): Promise<{ code: number | undefined; said: string }> {
  const file = join(folder, `${name}.jsonl`);
  await writeFile(file, `${changed.join('\n')}\n`);
  const process = startSallyport(t, ['audit', 'verify', '--export', file, '--key', key]);
  const { code } = await process.exit();
  return { code, said: process.stdout() + process.stderr() };
}

test.serial('An untouched export verifies', async (t) => {
  const { code, said } = await verify(t, lines, 'untouched');
  t.is(code, 0, said);
  t.true(lines.filter((line) => line.includes('egress.decided')).length >= 2);
});

test.serial('Any single changed byte is found', async (t) => {
  // The command is started for a few; contracts/verify.test.ts tries every byte.
  const positions = lines.flatMap((line, index) => line.includes('egress.') ? [index] : []).slice(0, 3);
  for (const index of positions) {
    const line = lines[index] ?? '';
    const at = line.search(/"method":"GET"/) + 11;
    const changed = lines.with(index, `${line.slice(0, at)}P${line.slice(at + 1)}`);
    const { code, said } = await verify(t, changed, `byte-${index}`);
    t.is(code, 77, said);
  }
});

const entryLines = (): number[] => lines.flatMap((line, index) => line.includes('"events"') ? [index] : []);

test.serial('A removed, a swapped and a truncated entry are found', async (t) => {
  const entries = entryLines();
  t.true(entries.length >= 4);
  const [a = 0, b = 0] = entries.slice(1, 3);
  const removed = lines.toSpliced(a, 1);
  const swapped = lines.with(a, lines[b] ?? '').with(b, lines[a] ?? '');
  const last = entries.at(-1) ?? 0;
  const truncated = lines.toSpliced(last, 1);
  for (const [name, changed] of Object.entries({ removed, swapped, truncated })) {
    const { code, said } = await verify(t, changed, name);
    t.is(code, 77, `${name}: ${said}`);
  }
});

test.serial('verify without an export holds the database against the seals', async (t) => {
  const { code, stdout, stderr } = await installation.command(['audit', 'verify']);
  t.is(code, 0, stdout + stderr);
});

test.serial('A history cut behind the operator’s back is found by a seal kept elsewhere', async (t) => {
  const seals = (await readFile(join(installation.data, 'seals.jsonl'), 'utf8')).trimEnd().split('\n');
  const pinned = join(folder, 'pinned.seal');
  await writeFile(pinned, (JSON.parse(seals.at(-1) ?? '') as { note: string }).note);
  // All entries after the first and all seals gone: by itself this would be a consistent, shorter tree.
  const entries = new Set(entryLines().slice(1));
  const cut = lines.filter((line, index) => !entries.has(index) && !line.includes('"kind":"seal"'));
  const file = join(folder, 'cut.jsonl');
  await writeFile(file, `${cut.join('\n')}\n`);
  const process = startSallyport(t, ['audit', 'verify', '--export', file, '--key', key, '--seal', pinned]);
  t.is((await process.exit()).code, 77, process.stdout() + process.stderr());
});
