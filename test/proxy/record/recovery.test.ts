import test, { type ExecutionContext } from 'ava';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../../contracts/clock.ts';
import { newId } from '../../../contracts/ids.ts';
import { parseSegment, type Segment } from '../../../contracts/segment.ts';
import { EventWriter, type Subject } from '../../../proxy/record/egress-events.ts';
import { Journal } from '../../../proxy/record/journal.ts';
import { writeJournalState } from '../../../proxy/record/journal-state.ts';
import { recoverJournal, type DescribeRecovery } from '../../../proxy/record/recovery.ts';
import { OpenExchange } from '../../../proxy/record/open-exchanges.ts';
import { testClock } from '../../helpers/clock.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { decidedLine, endedLine } from './lines.ts';

const writer = new EventWriter(systemClock, 'prx_test');
const describe: DescribeRecovery = (journalId, open) => writer.recovered(journalId, open).text;

const subject = (number: number): Subject => ({ egress_id: `egr_${number}`, attribution: { run_id: `run_${number}`, session_id: 'ses_1' }, assurance: 'jailed' });

/** A journal as a killed worker leaves it: exchange 1 over, 2 and 3 open. */
async function crashed(t: ExecutionContext): Promise<{ folder: string; journal_id: string }> {
  const folder = await temporaryFolder(t);
  const journal_id = newId('journal', 1);
  const clock = testClock();
  const journal = new Journal({ folder, journal_id, durability: 'crash', clock, onClosed: () => undefined, onAvailability: () => undefined, omission: () => '' });
  for (const number of [1, 2]) await journal.append(decidedLine(writer, subject(number)), new OpenExchange(`egr_${number}`, `run_${number}`));
  await journal.closeSegment();
  journal.note(endedLine(writer, subject(1)), new OpenExchange('egr_1', 'run_1'));
  await journal.append(decidedLine(writer, subject(3)), new OpenExchange('egr_3', 'run_3'));
  return { folder, journal_id };
}

async function segments(folder: string): Promise<Segment[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.ndjson')).sort();
  return await Promise.all(names.map(async (name) => {
    const parsed = parseSegment(await readFile(join(folder, name)));
    if (!parsed.ok) throw new Error(`${name}: ${parsed.reason}`);
    return parsed.segment;
  }));
}

function linked(all: readonly Segment[]): boolean {
  return all.every(({ closed, header }, index) => closed && header.sequence === index && (index === 0 || header.previous === all[index - 1]?.digest));
}

const openOf = (all: readonly Segment[]): unknown => all.at(-1)?.events.findLast(({ type }) => type === 'journal.recovered')?.facts['open'];

test('what a killed worker left is closed, and says which exchanges were open', async (t) => {
  const { folder, journal_id } = await crashed(t);
  const recovered = await recoverJournal(folder, journal_id, describe);
  t.true(recovered.crashed);
  const all = await segments(folder);
  t.true(linked(all));
  t.deepEqual(recovered.segments.map(({ sequence }) => sequence), [0, 1]);
  t.deepEqual(all.map(({ events }) => events.map(({ type }) => type)), [['egress.decided', 'egress.decided'], ['egress.completed', 'egress.decided', 'journal.recovered']]);
  t.deepEqual(openOf(all), [{ egress_id: 'egr_2', run_id: 'run_2' }, { egress_id: 'egr_3', run_id: 'run_3' }]);
});

test('cut at any byte of its last segment, a journal is closed with all its whole records and no other', async (t) => {
  const { folder, journal_id } = await crashed(t);
  const last = join(folder, '00000001.ndjson');
  const bytes = await readFile(last);
  const first = await readFile(join(folder, '00000000.ndjson'));
  for (let length = 0; length <= bytes.length; length += length < 200 ? 1 : 37) {
    const copy = join(folder, `copy-${length}`);
    await mkdir(copy);
    await writeFile(join(copy, '00000000.ndjson'), first);
    await writeFile(join(copy, '00000001.ndjson'), bytes.subarray(0, length));
    await recoverJournal(copy, journal_id, describe);
    const all = await segments(copy);
    t.true(linked(all), `cut at ${length}`);
    const whole = Math.max(0, bytes.subarray(0, length).toString().split('\n').length - 2);
    t.is(all[1]?.events.length, whole + 1, `cut at ${length}`);
    t.is(all.length, 2);
  }
});

test('a crash between two segments leaves no record in doubt', async (t) => {
  const { folder, journal_id } = await crashed(t);
  await truncate(join(folder, '00000001.ndjson'), 0);
  await recoverJournal(folder, journal_id, describe);
  const all = await segments(folder);
  t.true(linked(all));
  t.deepEqual(openOf(all), [{ egress_id: 'egr_1', run_id: 'run_1' }, { egress_id: 'egr_2', run_id: 'run_2' }]);
});

test('recovering twice, or after a recovery that was cut short, says it once', async (t) => {
  const { folder, journal_id } = await crashed(t);
  await recoverJournal(folder, journal_id, describe);
  const before = await segments(folder);
  t.false((await recoverJournal(folder, journal_id, describe)).crashed);
  t.deepEqual(await segments(folder), before);
  // Killed after the last segment was closed and before that was written down.
  await writeJournalState(folder, { through: -1, digest: '0'.repeat(64), closed: false, open: [] });
  await recoverJournal(folder, journal_id, describe);
  t.deepEqual(await segments(folder), before);
});

test('exchanges that began in segments which are deleted are still known to be open', async (t) => {
  const folder = await temporaryFolder(t);
  const digest = 'a'.repeat(64);
  await writeJournalState(folder, { through: 6, digest, closed: false, open: [{ egress_id: 'egr_9', run_id: 'run_9' }] });
  const { segments: left } = await recoverJournal(folder, newId('journal', 1), describe);
  t.deepEqual(left.map(({ sequence }) => sequence), [7]);
  const [segment] = await segments(folder);
  t.is(segment?.header.previous, digest);
  t.deepEqual(openOf([segment!]), [{ egress_id: 'egr_9', run_id: 'run_9' }]);
});

test('text of an agent that looks like a record changes nothing', async (t) => {
  const folder = await temporaryFolder(t);
  const journal_id = newId('journal', 1);
  const journal = new Journal({ folder, journal_id, durability: 'crash', clock: testClock(), onClosed: () => undefined, onAvailability: () => undefined, omission: () => '' });
  const forged = '/x","facts":{"egress_id":"egr_2"},"type":"egress.completed"\n{"end":true}';
  await journal.append(decidedLine(writer, subject(1), forged), new OpenExchange('egr_1', 'run_1'));
  await journal.append(decidedLine(writer, subject(2), forged), new OpenExchange('egr_2', 'run_2'));
  await recoverJournal(folder, journal_id, describe);
  t.deepEqual(openOf(await segments(folder)), [{ egress_id: 'egr_1', run_id: 'run_1' }, { egress_id: 'egr_2', run_id: 'run_2' }]);
});

test('a journal with a segment missing is not touched', async (t) => {
  const { folder, journal_id } = await crashed(t);
  await writeFile(join(folder, '00000005.ndjson'), await readFile(join(folder, '00000001.ndjson')));
  await t.throwsAsync(recoverJournal(folder, journal_id, describe), { message: /cannot be used.*keep it for inspection/ });
});

test('a crash with thousands of exchanges open leaves records that the control plane takes', async (t) => {
  const folder = await temporaryFolder(t);
  const open = Array.from({ length: 20_000 }, () => ({ egress_id: newId('egress', 1), run_id: newId('run', 1) }));
  const journal_id = newId('journal', 1);
  const journal = new Journal({ folder, journal_id, durability: 'crash', clock: testClock(), onClosed: () => undefined, onAvailability: () => undefined, omission: () => '' });
  await Promise.all(Array.from({ length: 1000 }, (_, index) => journal.append(endedLine(writer, subject(index)))));
  await writeJournalState(folder, { through: -1, digest: '0'.repeat(64), closed: false, open });
  await recoverJournal(folder, journal_id, describe);
  const [segment] = await segments(folder);
  const found = segment!.events.filter(({ type }) => type === 'journal.recovered').flatMap(({ facts }) => facts['open'] as unknown as typeof open);
  t.deepEqual(new Set(found.map(({ egress_id }) => egress_id)), new Set(open.map(({ egress_id }) => egress_id)));
});
