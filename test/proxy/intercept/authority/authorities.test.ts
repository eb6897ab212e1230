import test from 'ava';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { chmodSync, chownSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SallyportError } from '../../../../contracts/errors.ts';
import { openAuthorities, readTrusted, rotateAuthorities, viewAuthorities } from '../../../../proxy/intercept/authority/authorities.ts';
import { leafLifeMs, mostAuthorities } from '../../../../proxy/intercept/authority/rules.ts';
import { testClock } from '../../../helpers/clock.ts';
import { needs } from '../../../helpers/needs.ts';
import { startProcess } from '../../../helpers/process.ts';
import { temporaryFolder } from '../../../helpers/temporary.ts';

const hour = 3_600_000;
const day = 24 * hour;
const start = Date.UTC(2031, 0, 1);

const certificates = (pem: string): readonly string[] => pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
const stateFile = (data: string): string => join(data, 'ca', readdirSync(join(data, 'ca')).find((name) => name.endsWith('.json')) ?? 'none');

test('the first one is made where there is none, for its owner alone, and stays', async (t) => {
  const data = await temporaryFolder(t);
  const clock = testClock(start);
  const first = readTrusted(data, clock);
  t.is(certificates(first).length, 1);
  t.is(statSync(join(data, 'ca')).mode & 0o7777, 0o700);
  t.deepEqual(readdirSync(join(data, 'ca')), ['authorities.1.json']);
  t.is(statSync(stateFile(data)).mode & 0o7777, 0o600);
  const signer = openAuthorities(data, clock).signer(clock.now());
  t.is(signer.certificate, first);
  t.true(new X509Certificate(first).checkPrivateKey(signer.private_key));
  t.is(readTrusted(data, clock), first);
  t.false(first.includes('PRIVATE'));
});

test('the umask of whoever starts us takes nothing away and gives nothing', async (t) => {
  const data = await temporaryFolder(t);
  const before = process.umask(0);
  try {
    readTrusted(data);
  } finally {
    process.umask(before);
  }
  t.is(statSync(stateFile(data)).mode & 0o7777, 0o600);
});

test('processes that start at once on an empty folder agree on one', async (t) => {
  for (let round = 0; round < 3; round++) {
    const data = await temporaryFolder(t);
    const barrier = join(data, 'go');
    const workers = Array.from({ length: 6 }, () => startProcess(t, process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', waitingScript(data, barrier, `
      const authorities = openAuthorities(data, systemClock);
      console.log('signer ' + authorities.signer(Date.now()).id + ' ' + (readTrusted(data) === authorities.signer(Date.now()).certificate));`)]));
    await Promise.all(workers.map((worker) => worker.line(/^waits$/)));
    writeFileSync(barrier, '');
    const signers = await Promise.all(workers.map(async (worker) => (await worker.line(/^signer (.*)$/))[1]));
    t.is(new Set(signers).size, 1, signers.join(', '));
    t.regex(signers[0] ?? '', /^[0-9a-f]{16} true$/);
    t.deepEqual(readdirSync(join(data, 'ca')), ['authorities.1.json']);
  }
});

test('of rotations at once none is lost, and none leaves anything behind', async (t) => {
  const data = await temporaryFolder(t);
  const barrier = join(data, 'go');
  const workers = Array.from({ length: 4 }, () => startProcess(t, process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', waitingScript(data, barrier, `
    rotateAuthorities(data, Date.now(), 0);
    console.log('rotated ' + openAuthorities(data, systemClock).signer(Date.now()).id);`)]));
  await Promise.all(workers.map((worker) => worker.line(/^waits$/)));
  writeFileSync(barrier, '');
  const seen = await Promise.all(workers.map(async (worker) => (await worker.line(/^rotated ([0-9a-f]{16})$/))[1]));
  // Two of the same millisecond are one, which waits for the next; whatever one of them has seen sign is trusted.
  const trusted = viewAuthorities(data, Date.now()).map(({ id }) => id);
  t.true(trusted.length >= 2 && trusted.length <= 5, trusted.join(', '));
  for (const id of seen) t.true(trusted.includes(id ?? ''), `${id} was lost`);
  t.is(readdirSync(join(data, 'ca')).length, 1);
});

function waitingScript(data: string, barrier: string, what: string): string {
  return `
    import { existsSync } from 'node:fs';
    import { openAuthorities, readTrusted, rotateAuthorities } from ${JSON.stringify(new URL('../../../../proxy/intercept/authority/authorities.ts', import.meta.url).href)};
    import { systemClock } from ${JSON.stringify(new URL('../../../../contracts/clock.ts', import.meta.url).href)};
    const data = ${JSON.stringify(data)};
    console.log('waits');
    const look = () => {
      if (!existsSync(${JSON.stringify(barrier)})) return setTimeout(look, 1);
      ${what}
    };
    look();`;
}

test('a rotation is noticed within a second by those who run: trusted at once, signing after the overlap', async (t) => {
  const data = await temporaryFolder(t);
  const clock = testClock(start);
  const authorities = openAuthorities(data, clock);
  const old = authorities.signer(clock.now());
  rotateAuthorities(data, clock.now(), day);
  const trusted = certificates(readTrusted(data, clock));
  t.is(trusted.length, 2);
  t.is(trusted[0], old.certificate);
  clock.advance(1000);
  t.is(authorities.signer(clock.now()).id, old.id);
  clock.advance(day - 1001);
  t.is(authorities.signer(clock.now()).id, old.id);
  clock.advance(1);
  const next = authorities.signer(clock.now());
  t.is(next.certificate, trusted[1] ?? '');
  // At once, without an overlap.
  rotateAuthorities(data, clock.now() + 2, 0);
  clock.advance(1000);
  t.false([old.id, next.id].includes(authorities.signer(clock.now()).id));
});

test('the old one is trusted until its last leaf has ended; its key goes an hour after it has signed the last', async (t) => {
  const data = await temporaryFolder(t);
  const clock = testClock(start);
  readTrusted(data, clock);
  rotateAuthorities(data, clock.now(), day);
  const keys = (): readonly boolean[] => (JSON.parse(readFileSync(stateFile(data), 'utf8')) as { authorities: { private_key: string | null }[] }).authorities.map(({ private_key }) => private_key !== null);
  t.deepEqual(keys(), [true, true]);
  clock.advance(day + 2 * hour);
  openAuthorities(data, clock);
  t.deepEqual(keys(), [false, true]);
  t.deepEqual(viewAuthorities(data, clock.now()).map(({ role }) => role), ['has signed', 'signs']);
  clock.advance(leafLifeMs - 2 * hour);
  t.is(certificates(readTrusted(data, clock)).length, 2);
  clock.advance(hour);
  t.is(certificates(readTrusted(data, clock)).length, 1);
  openAuthorities(data, clock);
  t.deepEqual(keys(), [true]);
});

test('one that waits is not made twice, and may begin sooner', async (t) => {
  const data = await temporaryFolder(t);
  const clock = testClock(start);
  readTrusted(data, clock);
  rotateAuthorities(data, clock.now(), day);
  const [, waiting] = viewAuthorities(data, clock.now());
  clock.advance(hour);
  rotateAuthorities(data, clock.now(), day);
  t.like(viewAuthorities(data, clock.now())[1], { id: waiting?.id, signs_from: start + hour + day, role: 'will sign' });
  rotateAuthorities(data, clock.now(), 0);
  t.like(viewAuthorities(data, clock.now()), [{ role: 'has signed' }, { id: waiting?.id, role: 'signs' }]);
});

test('a rotation in a loop ends with a sentence', async (t) => {
  const data = await temporaryFolder(t);
  for (let count = 1; count < mostAuthorities; count++) rotateAuthorities(data, start + count * 1000, 0);
  const error = t.throws(() => rotateAuthorities(data, start + day, 0), { instanceOf: SallyportError, message: /8 authorities are trusted at once/ });
  t.is(error?.code, 'authority');
});

test('an authority that has expired signs nothing, and the sentence says what to do', async (t) => {
  const data = await temporaryFolder(t);
  const clock = testClock(start);
  const authorities = openAuthorities(data, clock);
  clock.advance(3650 * day);
  const error = t.throws(() => authorities.signer(clock.now()), { instanceOf: SallyportError, message: /has expired on 20\d\d-/ });
  t.deepEqual(error?.extras.next_steps, ['sallyport ca rotate --overlap 0 makes the next one.']);
  rotateAuthorities(data, clock.now(), 0);
  clock.advance(1000);
  t.notThrows(() => authorities.signer(clock.now()));
});

type Broken = readonly [title: string, breakIt: (data: string) => void, reason: RegExp];
const edit = (change: (state: { authorities: Record<string, unknown>[] } & Record<string, unknown>) => void) => (data: string): void => {
  const file = stateFile(data);
  const state = JSON.parse(readFileSync(file, 'utf8')) as { authorities: Record<string, unknown>[] };
  change(state);
  writeFileSync(file, JSON.stringify(state));
};
const foreignKey = (): string => String(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }));

const broken: readonly Broken[] = [
  ['a file that others can read', (data) => chmodSync(stateFile(data), 0o640), /Others can reach .*authorities\.1\.json \(mode 0640\)/],
  ['a folder that others can read', (data) => chmodSync(join(data, 'ca'), 0o755), /Others can reach .*ca \(mode 0755\)/],
  ['half a file', (data) => truncateSync(stateFile(data), 500), /is not whole/],
  ['an empty file', (data) => truncateSync(stateFile(data), 0), /is not whole/],
  ['a huge file', (data) => truncateSync(stateFile(data), 1e9), /larger than 65536/],
  ['a field that is not known', edit((state) => { state['note'] = 'x'; }), /is not what Sallyport wrote/],
  ['a later version', edit((state) => { state['version'] = 2; }), /is not what Sallyport wrote: version/],
  ['no authority', edit((state) => { state.authorities = []; }), /is not what Sallyport wrote: authorities/],
  ['one authority twice', edit((state) => { state.authorities.push(state.authorities[0]!); }), /names one authority twice/],
  ['another key', edit((state) => { state.authorities[0]!['private_key'] = foreignKey(); }), /does not match its certificate/],
  ['no key', edit((state) => { state.authorities[0]!['private_key'] = null; }), /lacks the key of authority/],
  ['a key that is none', edit((state) => { state.authorities[0]!['private_key'] = 'secret-canary'; }), /cannot be read/],
  ['another name', edit((state) => { state.authorities[0]!['id'] = '0123456789abcdef'; }), /is not authority 0123456789abcdef's/],
  ['two certificates in one place', edit((state) => { state.authorities[0]!['certificate'] = String(state.authorities[0]!['certificate']).repeat(2); }), /holds more than the certificate/],
  ['a link in the place of the file', (data) => { const file = stateFile(data); renameSync(file, join(data, 'elsewhere')); symlinkSync(join(data, 'elsewhere'), file); }, /symbolic link/],
  ['a folder in the place of the file', (data) => { const file = stateFile(data); rmSync(file); mkdirSync(file, { mode: 0o700 }); }, /is not a file/],
  ['a link in the place of the folder', (data) => { renameSync(join(data, 'ca'), join(data, 'elsewhere')); symlinkSync(join(data, 'elsewhere'), join(data, 'ca')); }, /is not a folder/],
];
for (const [title, breakIt, reason] of broken) {
  test(`nothing is made over what is there, and nothing is signed with it: ${title}`, async (t) => {
    const data = await temporaryFolder(t);
    const clock = testClock(start);
    const running = openAuthorities(data, clock);
    breakIt(data);
    for (const use of [() => readTrusted(data, clock), () => openAuthorities(data, clock), () => rotateAuthorities(data, clock.now(), 0), () => viewAuthorities(data, clock.now())]) {
      const error = t.throws(use, { instanceOf: SallyportError, message: reason });
      t.is(error?.code, 'authority');
      t.notRegex(error?.message ?? '', /canary|PRIVATE/);
    }
    t.deepEqual(readdirSync(join(data, 'ca')), ['authorities.1.json']);
    // Whoever had read it before goes on: this is the same generation, and its own memory is right.
    t.notThrows(() => running.signer(clock.now()));
  });
}

needs('root')('nothing is made over what belongs to somebody else', async (t) => {
  const data = await temporaryFolder(t);
  readTrusted(data);
  chownSync(stateFile(data), 12_345, 12_345);
  t.throws(() => readTrusted(data), { instanceOf: SallyportError, message: /authorities\.1\.json belongs to uid 12345/ });
  chownSync(join(data, 'ca'), 12_345, 12_345);
  t.throws(() => readTrusted(data), { instanceOf: SallyportError, message: /ca belongs to uid 12345/ });
});

test('a worker whose authorities are taken away signs no more, and goes on when they are back', async (t) => {
  const data = await temporaryFolder(t);
  const clock = testClock(start);
  const authorities = openAuthorities(data, clock);
  const { id } = authorities.signer(clock.now());
  renameSync(join(data, 'ca'), join(data, 'away'));
  clock.advance(1000);
  t.throws(() => authorities.signer(clock.now()), { instanceOf: SallyportError, message: /have been removed/ });
  t.throws(() => authorities.signer(clock.now()), { instanceOf: SallyportError }, 'also before it looks again');
  renameSync(join(data, 'away'), join(data, 'ca'));
  clock.advance(1000);
  t.is(authorities.signer(clock.now()).id, id);
});

test('what a killed process left is no authority, and goes with the next change', async (t) => {
  const data = await temporaryFolder(t);
  readTrusted(data);
  const [old, young] = ['.0123456789abcdef.new', '.fedcba9876543210.new'].map((name) => join(data, 'ca', name));
  for (const file of [old!, young!]) writeFileSync(file, '{', { mode: 0o600 });
  utimesSync(old!, 1, 1);
  t.is(certificates(readTrusted(data)).length, 1);
  rotateAuthorities(data, Date.now(), 0);
  // Killed between the link and the removal of the one before: the higher one counts.
  linkSync(join(data, 'ca', 'authorities.2.json'), join(data, 'ca', 'authorities.1.json'));
  t.is(certificates(readTrusted(data)).length, 2);
  t.deepEqual(readdirSync(join(data, 'ca')).toSorted(), ['.fedcba9876543210.new', 'authorities.1.json', 'authorities.2.json']);
});
