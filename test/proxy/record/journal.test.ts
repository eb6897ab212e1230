import test, { type ExecutionContext } from 'ava';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../../contracts/clock.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { newId } from '../../../contracts/ids.ts';
import { parseSegment, type Segment } from '../../../contracts/segment.ts';
import { EventWriter } from '../../../proxy/record/egress-events.ts';
import { Journal, type ClosedSegment } from '../../../proxy/record/journal.ts';
import type { Disk } from '../../../proxy/record/segment-file.ts';
import { OpenExchange } from '../../../proxy/record/open-exchanges.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { failingDisk } from '../../helpers/failing-disk.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { until } from '../../helpers/wait.ts';

const writer = new EventWriter(systemClock, 'prx_test');
/** A record that can be told from others. */
const record = (number: number): string => writer.returned({ run_id: `run_${number}`, session_id: 'ses_1' }, { requests: number }).text;

interface Setup {
  readonly journal: Journal;
  readonly folder: string;
  readonly clock: TestClock;
  readonly closed: ClosedSegment[];
  readonly problems: (SallyportError | undefined)[];
  segments(): Promise<Segment[]>;
  /** Numbers of all records, as `record` made them. */
  numbers(): Promise<number[]>;
}

async function setUp(t: ExecutionContext, disk?: Disk, durability: 'crash' | 'power' = 'crash'): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const clock = testClock();
  const closed: ClosedSegment[] = [];
  const problems: (SallyportError | undefined)[] = [];
  const journal = new Journal({
    folder, journal_id: newId('journal', 1), durability, clock, ...(disk !== undefined && { disk }),
    onClosed: (segment) => closed.push(segment), onAvailability: (problem) => problems.push(problem), omission: (records) => writer.omitted(records).text,
  });
  const segments = async (): Promise<Segment[]> => await Promise.all((await readdir(folder)).sort().map(async (name) => {
    const parsed = parseSegment(await readFile(join(folder, name)));
    if (!parsed.ok) throw new Error(`${name}: ${parsed.reason}`);
    return parsed.segment;
  }));
  return {
    journal, folder, clock, closed, problems, segments,
    numbers: async () => (await segments()).flatMap(({ events }) => events).map(({ run_id }) => Number(run_id?.slice(4))),
  };
}

const code = async (t: ExecutionContext, receipt: Promise<unknown>): Promise<string> => (await t.throwsAsync(receipt, { instanceOf: SallyportError }))!.code;

for (const durability of ['crash', 'power'] as const) {
  test(`a receipt is given only for what is on disk (${durability})`, async (t) => {
    const { journal, folder } = await setUp(t, undefined, durability);
    await Promise.all([journal.append(record(1)), journal.append(record(2))]);
    const parsed = parseSegment(await readFile(join(folder, '00000000.ndjson')));
    t.true(parsed.ok);
    if (parsed.ok) t.deepEqual([parsed.segment.closed, parsed.segment.events.length], [false, 2]);
    await journal.end();
  });
}

test('records of one turn of the loop share a write', async (t) => {
  const disk = failingDisk();
  const { journal } = await setUp(t, disk);
  await Promise.all(Array.from({ length: 100 }, (_, index) => journal.append(record(index))));
  t.is(disk.writes, 1);
  await journal.end();
});

test('segments close at 1,000 records and are linked by their digests', async (t) => {
  const { journal, segments, numbers, closed } = await setUp(t);
  const wanted = Array.from({ length: 2500 }, (_, index) => index);
  await Promise.all(wanted.map((number) => number % 3 === 0 ? journal.append(record(number)) : journal.note(record(number))));
  await journal.closeSegment();
  const all = await segments();
  t.true(all.every(({ events, closed: whole }) => whole && events.length <= 1000));
  t.deepEqual(all.map(({ header }) => header.previous), ['0'.repeat(64), ...all.slice(0, -1).map(({ digest }) => digest)]);
  t.deepEqual(closed.map(({ digest, sequence }) => [sequence, digest]), all.map(({ digest, header }) => [header.sequence, digest]));
  t.deepEqual((await numbers()).sort((a, b) => a - b), wanted);
});

test('a segment closes one second after its first record, and an empty one does not exist', async (t) => {
  const { journal, clock, closed, segments } = await setUp(t);
  clock.advance(10_000);
  t.deepEqual(await segments(), []);
  await journal.append(record(1));
  clock.advance(999);
  t.is(closed.length, 0);
  clock.advance(1);
  await until('the segment to close', () => closed.length === 1);
  await journal.closeSegment();
  t.is(closed.length, 1);
});

test('under steady load a wanted close is not put off', async (t) => {
  const { journal, closed } = await setUp(t);
  const traffic = { goesOn: true };
  const load = (async () => { for (let number = 0; traffic.goesOn; number++) await journal.append(record(number)); })();
  await journal.closeSegment();
  t.true(closed.length >= 1);
  t.true((await readFile(closed[0]!.path)).length < 500_000);
  traffic.goesOn = false;
  await load;
  await journal.end();
});

for (const part of [0, 10, 700]) {
  test(`a full disk refuses the record, leaves nothing of it behind, and works again later (${part} bytes of it arrived)`, async (t) => {
    const disk = failingDisk();
    const { journal, numbers, problems } = await setUp(t, disk);
    await journal.append(record(1));
    Object.assign(disk, { failure: 'ENOSPC', writesPart: part });
    t.is(await code(t, journal.append(record(2))), 'journal_unavailable');
    t.is(await code(t, journal.append(record(3))), 'journal_unavailable');
    t.regex(journal.problem?.message ?? '', /full/);
    disk.failure = undefined;
    await journal.append(record(4));
    t.is(journal.problem, undefined);
    await journal.end();
    t.deepEqual(await numbers(), [1, 4]);
    t.deepEqual(problems.map((problem) => problem?.code), ['journal_unavailable', undefined]);
  });
}

test('a disk that is full from the start refuses, then begins with the first record that fits', async (t) => {
  const disk = failingDisk();
  disk.failure = 'ENOSPC';
  const { journal, numbers } = await setUp(t, disk);
  t.is(await code(t, journal.append(record(1))), 'journal_unavailable');
  disk.failure = undefined;
  await journal.append(record(2));
  await journal.end();
  t.deepEqual(await numbers(), [2]);
});

test('as long as the rest of a failed write cannot be cut off, nothing is recorded behind it', async (t) => {
  const disk = failingDisk();
  const { journal, numbers } = await setUp(t, disk);
  await journal.append(record(1));
  Object.assign(disk, { failure: 'EIO', writesPart: 20 });
  await code(t, journal.append(record(2)));
  Object.assign(disk, { failure: undefined, failsToTruncate: true });
  t.is(await code(t, journal.append(record(3))), 'journal_unavailable');
  disk.failsToTruncate = false;
  await journal.append(record(4));
  await journal.end();
  t.deepEqual(await numbers(), [1, 4]);
});

test('what has already happened is kept while the disk is full, and written once it is not', async (t) => {
  const disk = failingDisk();
  const { journal, numbers, clock } = await setUp(t, disk);
  const exchange = new OpenExchange('egr_1', 'run_1');
  await journal.append(record(1), exchange);
  t.deepEqual(journal.open.begunThrough(0), [{ egress_id: 'egr_1', run_id: 'run_1' }]);
  disk.failure = 'ENOSPC';
  journal.note(record(2), exchange);
  await until('the failing write', () => journal.problem !== undefined);
  t.is(journal.open.begunThrough(0).length, 1, 'an end that is not on disk is not an end');
  disk.failure = undefined;
  clock.advance(250);
  await until('the end to be written', () => journal.open.begunThrough(0).length === 0);
  await journal.end();
  t.deepEqual(await numbers(), [1, 2]);
});

test('refusals that a full disk holds up are bounded; how many are missing is told', async (t) => {
  const disk = failingDisk();
  disk.failure = 'ENOSPC';
  const { journal, segments } = await setUp(t, disk);
  const large = record(7).replace('"payload":{}', `"payload":{"filling":"${'x'.repeat(60_000)}"}`);
  for (let index = 0; index < 200; index++) journal.note(large);
  await t.throwsAsync(journal.closeSegment());
  disk.failure = undefined;
  await journal.end();
  const events = (await segments()).flatMap((segment) => segment.events);
  const omitted = events.find(({ type }) => type === 'journal.omitted');
  const kept = events.filter(({ type }) => type === 'allowance.returned').length;
  t.true(kept < 200 && kept > 100);
  t.is(omitted?.facts['records'], 200 - kept);
});

test('while too much waits to be shipped nothing begins, and what goes on is recorded', async (t) => {
  const { journal, numbers } = await setUp(t);
  await journal.append(record(1));
  journal.refusal = new SallyportError('journal_unavailable', 'Too much waits.');
  t.is(await code(t, journal.append(record(2))), 'journal_unavailable');
  journal.note(record(3), new OpenExchange('egr_1', 'run_1'));
  journal.refusal = undefined;
  await journal.append(record(4));
  await journal.end();
  t.deepEqual(await numbers(), [1, 3, 4]);
});

test('a record that the control plane would not take is refused before it is written', async (t) => {
  const { journal, numbers } = await setUp(t);
  const large = writer.returned({ run_id: `run_1${'\u00e9'.repeat(33_000)}`, session_id: 'ses_1' }, { requests: 1 }).text;
  t.true(large.length < 64 * 1024 && Buffer.byteLength(large) > 64 * 1024);
  t.is(await code(t, journal.append(large)), 'not_supported');
  journal.note(large);
  await journal.append(record(2));
  await journal.end();
  t.deepEqual((await numbers()).filter((number) => !Number.isNaN(number)), [2]);
});

test('a group that was written and could not be synced is not in the journal, and what had happened is in it once', async (t) => {
  const disk = failingDisk();
  const { journal, clock, numbers } = await setUp(t, disk, 'power');
  await journal.append(record(1));
  disk.failsToSync = true;
  journal.note(record(2), new OpenExchange('egr_2', 'run_1'));
  t.is(await code(t, journal.append(record(3))), 'journal_unavailable');
  clock.advance(250);
  await journal.append(record(4));
  await journal.end();
  t.deepEqual(await numbers(), [1, 2, 4]);
});

test('records as large as they may be do not make a segment that the control plane works on for seconds', async (t) => {
  const { journal, closed, segments } = await setUp(t);
  const large = writer.returned({ run_id: 'run_1', session_id: 'ses_1' }, { requests: 1 }).text.replace('"payload":{}', `"payload":{"x":"${'x'.repeat(60_000)}"}`);
  await Promise.all(Array.from({ length: 300 }, async (_, index) => {
    if (index % 2 === 0) await journal.append(large);
    else journal.note(large, new OpenExchange(`egr_${index}`, 'run_1'));
  }));
  await journal.end();
  t.is((await segments()).flatMap(({ events }) => events).length, 300);
  t.true(closed.every(({ bytes }) => bytes < 8 * 1024 * 1024), `${closed.map(({ bytes }) => bytes).join(', ')}`);
});
