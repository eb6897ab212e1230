import { spentOf } from '../../contracts/budget.ts';
import type { IngestAnswer } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Event } from '../../contracts/event.ts';
import { parseSegment, segmentMaxBytes, type Segment } from '../../contracts/segment.ts';
import { recoverJournal, settleSegment } from '../budgets/commands.ts';
import { sumMovements, type Spending } from '../budgets/rules.ts';
import { makeChange, type Change } from '../change.ts';
import type { Services } from '../services.ts';
import { advanceJournal, lockJournal, selectSegmentDigest } from './journal-store.ts';
import { prepareSegment, recordSegment, type PreparedSegment } from './record.ts';

export const segmentLimit = segmentMaxBytes;

export type IngestOutcome = IngestAnswer
  | { readonly status: 'gap'; readonly journal_id: string; readonly sequence: number; readonly expected: number }
  | { readonly status: 'forked'; readonly journal_id: string; readonly sequence: number };

/**
 * Takes one closed journal segment: its entry, its events and what they spent, in one transaction, exactly once by (journal_id,
 * sequence). Throws `invalid_request` for what is no whole segment.
 */
export async function ingest(services: Services, bytes: Buffer): Promise<IngestOutcome> {
  const parsed = parseSegment(bytes);
  if (!parsed.ok) throw new SallyportError('invalid_request', `This is not a journal segment: ${parsed.reason}.`);
  const { segment } = parsed;
  if (!segment.closed) throw new SallyportError('invalid_request', 'The journal segment has no end: only closed ones can be taken.');
  const { header: { journal_id, sequence }, events, digest } = segment;
  const prepared = await prepareSegment({ journal_id, sequence, digest }, { at: services.clock.now(), events, random: services.random });
  return await makeChange(services, (change) => ingestInChange(change, segment, prepared));
}

async function ingestInChange(change: Change, segment: Segment, prepared: PreparedSegment): Promise<IngestOutcome> {
  const { header: { journal_id, sequence, previous }, events, digest } = segment;
  const recoveries = events.filter((event) => event.type === 'journal.recovered' && event.facts['journal_id'] === journal_id);
  const journal = await lockJournal(change.trx, journal_id, recoveries.length > 0, change.at);
  if (sequence < journal.next_sequence) {
    const known = await selectSegmentDigest(change.trx, journal_id, sequence);
    return { journal_id, sequence, status: known === digest ? 'known' : 'forked' };
  }
  if (sequence > journal.next_sequence) return { journal_id, sequence, status: 'gap', expected: journal.next_sequence };
  if (previous !== journal.last_digest) return { journal_id, sequence, status: 'forked' };

  await recordSegment(change.trx, prepared, change.at);
  const next = { next_sequence: sequence + 1, last_digest: digest };
  await advanceJournal(change.trx, journal_id, recoveries.length > 0 ? { ...next, closed: true } : next, change.at);
  await settleSegment(change, journal_id, String(sequence), sumMovements(events.flatMap(movementOf)));
  if (recoveries.length > 0) await recoverJournal(change, journal_id, `${sequence} recovered`, new Set(recoveries.flatMap(openRunsOf)));
  change.signal('entries');
  for (const run_id of new Set(events.map((event) => event.run_id))) {
    if (run_id !== undefined) change.signal(`run:${run_id}`);
  }
  return { journal_id, sequence, status: 'ingested' };
}

function movementOf({ run_id, facts }: Event): readonly Spending[] {
  if (run_id === undefined) return [];
  const spent = spentOf(facts['spent']);
  const returned = spentOf(facts['returned']);
  return spent === undefined && returned === undefined ? [] : [{ run_id, ...spent && { spent }, ...returned && { returned } }];
}

/** Runs with an exchange that was under way when the worker ended. */
function openRunsOf({ facts }: Event): readonly string[] {
  const open = facts['open'];
  if (!Array.isArray(open)) return [];
  return (open as readonly unknown[]).flatMap((exchange) => {
    const run_id = (exchange as { run_id?: unknown } | null)?.run_id;
    return typeof run_id === 'string' ? [run_id] : [];
  });
}
