import type { Kysely } from 'kysely';
import { SallyportError } from '../../contracts/errors.ts';
import type { Event } from '../../contracts/event.ts';
import type { RunAction } from '../../contracts/run-api.ts';
import { makeChange, type Change } from '../change.ts';
import type { Tables } from '../database/tables.ts';
import type { Services } from '../services.ts';
import { selectEvents, type EventFilter } from './event-store.ts';
import { countSegments, holdOpen, registerJournal, selectSealed } from './journal-store.ts';
import { readLines } from './packed-body.ts';
import { selectLastSeal } from './seal-store.ts';
import { insertTree, selectBody, selectTree } from './store.ts';

export { countEvents, selectActivity as activityOf } from './event-store.ts';
export { hasUnnumbered, selectLastArrival as lastArrival } from './store.ts';

/** Begins the chain of a new database; `incarnation` is random, so that another database's seals and allowances are told apart. */
export async function ensureTree(services: Services): Promise<void> {
  const incarnation = services.random(16).toString('hex');
  await makeChange(services, async (change) => {
    if (!await insertTree(change.trx, incarnation)) return;
    change.record({ type: 'chain.incarnated', actor: { kind: 'system', id: 'audit' }, facts: { incarnation }, payload: {} });
  });
}

export async function incarnationOf(database: Kysely<Tables>): Promise<string> {
  return (await selectTree(database)).incarnation;
}

/** Size of the tree that the last seal covers. */
export async function sealedSize(database: Kysely<Tables>): Promise<number> {
  return (await selectLastSeal(database))?.size ?? 0;
}

/** Entries in the chain, those that a seal covers, and journal segments that were taken. */
export async function chainSizes({ database: { kysely } }: Services): Promise<{ readonly entries: number; readonly sealed: number; readonly segments: number }> {
  return { entries: (await selectTree(kysely)).size, sealed: await sealedSize(kysely), segments: await countSegments(kysely) };
}

/** Journals that are told to a proxy which connects; it has at most a few of its own, and they are among the newest. */
const toldJournals = 1_000;

/** How far journals are covered by seals: those that a seal later than that of size `after` has moved. */
export async function sealedJournals(database: Kysely<Tables>, after: number): Promise<readonly { readonly journal_id: string; readonly through: number }[]> {
  return await selectSealed(database, after, toldJournals);
}

/** Whether a journal may draw allowances: one that was closed after a crash may not. Holds it open to the end of the transaction. */
export async function mayDrawFor(change: Change, journal_id: string): Promise<boolean> {
  const journal = await holdOpen(change.trx, journal_id);
  if (journal !== undefined) return !journal.closed;
  await registerJournal(change.trx, journal_id, change.at);
  return (await holdOpen(change.trx, journal_id))?.closed === false;
}

/** Events newest first; an exchange is one, with its completion. */
export async function listActions({ database: { kysely } }: Services, filter: EventFilter): Promise<readonly RunAction[]> {
  const rows = await selectEvents(kysely, filter);
  const wanted = new Map<string, Set<number>>();
  for (const { entry_id, line, completion_entry_id, completion_line } of rows) {
    for (const [entry, number] of [[entry_id, line], [completion_entry_id ?? entry_id, completion_line]] as const) {
      if (number !== null) wanted.set(entry, (wanted.get(entry) ?? new Set()).add(number));
    }
  }
  const read = new Map<string, ReadonlyMap<number, Event>>();
  // One after the other: an entry may have many MiB, of which little is kept.
  for (const [entry_id, lines] of wanted) {
    const stored = await selectBody(kysely, entry_id);
    if (stored !== undefined) read.set(entry_id, await readLines(stored, lines));
  }
  const eventAt = (entry_id: string, line: number): Event => {
    const event = read.get(entry_id)?.get(line);
    if (event === undefined) throw new SallyportError('internal', `Line ${line} of entry ${entry_id} is missing in the database.`);
    return event;
  };
  return rows.map(({ position, entry_id, line, body, completion_entry_id, completion_line, completion_body }) => ({
    event: line === null ? JSON.parse(body!) as Event : eventAt(entry_id, line),
    completion: completion_line !== null ? eventAt(completion_entry_id ?? entry_id, completion_line)
      : completion_body === null ? null : JSON.parse(completion_body) as Event,
    entry_index: position,
  }));
}
