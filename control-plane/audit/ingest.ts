import { returnedFactsSchema, spentFactsSchema, type IngestAnswer } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Event } from '../../contracts/event.ts';
import { firstPrevious } from '../../contracts/journal.ts';
import { parseSegment, segmentMaxBytes, type Segment } from '../../contracts/segment.ts';
import { recoverJournal, settleSegment } from '../budgets/commands.ts';
import { sumMovements, type Spending } from '../budgets/rules.ts';
import { makeChange, type Change } from '../change.ts';
import type { Services } from '../services.ts';
import { advanceJournal, lockJournal, registerJournal, selectSegmentDigest } from './journal-store.ts';
import { recordSegment } from './record.ts';

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
  if (!parsed.segment.closed) throw new SallyportError('invalid_request', 'The journal segment has no end: only closed ones can be taken.');
  return await makeChange(services, (change) => ingestInChange(services, change, parsed.segment));
}

async function ingestInChange(services: Services, change: Change, segment: Segment): Promise<IngestOutcome> {
  const { header: { journal_id, sequence, previous }, events, digest } = segment;
  const recoveries = events.filter((event) => event.type === 'journal.recovered' && event.facts['journal_id'] === journal_id);
  await registerJournal(change.trx, journal_id, { next_sequence: 0, last_digest: firstPrevious }, change.at);
  const journal = await lockJournal(change.trx, journal_id, recoveries.length > 0);
  if (sequence < journal.next_sequence) {
    const known = await selectSegmentDigest(change.trx, journal_id, sequence);
    return { journal_id, sequence, status: known === digest ? 'known' : 'forked' };
  }
  if (sequence > journal.next_sequence) return { journal_id, sequence, status: 'gap', expected: journal.next_sequence };
  if (previous !== journal.last_digest) return { journal_id, sequence, status: 'forked' };

  await recordSegment(change.trx, { at: change.at, events, random: services.random, journal_id, sequence, digest });
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
  const spent = spentFactsSchema.safeParse(facts);
  const returned = returnedFactsSchema.safeParse(facts);
  return [{ run_id, ...spent.success && { spent: spent.data.spent }, ...returned.success && { returned: returned.data.returned } }];
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
