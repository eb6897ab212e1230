import { newId, uuidv7 } from '../../contracts/ids.ts';
import { firstPrevious } from '../../contracts/journal.ts';
import type { Event } from '../../contracts/event.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { Spent } from '../../contracts/budget.ts';
import { formatSegment, parseSegment } from '../../contracts/segment.ts';

export type Record = Pick<Event, 'type' | 'facts'> & { readonly run_id?: string; readonly payload?: JsonObject };

/** A worker's journal, as far as the control plane sees it. */
export class TestJournal {
  readonly journal_id = newId('journal', Date.now());
  #sequence = 0;
  #previous = firstPrevious;

  /** The next closed segment, byte for byte. */
  segment(records: readonly Record[]): Buffer {
    const events = records.map(({ payload = {}, ...record }): Event => ({
      v: 1, event_id: uuidv7(Date.now()), at: Date.now(), causes: [], actor: { kind: 'proxy', id: 'prx_test' }, ...record, payload,
    }));
    const bytes = Buffer.from(formatSegment({ v: 1, journal_id: this.journal_id, sequence: this.#sequence++, previous: this.#previous, opened_at: Date.now() }, events));
    const parsed = parseSegment(bytes);
    if (!parsed.ok) throw new Error(parsed.reason);
    this.#previous = parsed.segment.digest;
    return bytes;
  }
}

let egress = 0;
export const newEgress = (): string => `egr_${process.pid}_${egress++}`;

export const decided = (run_id: string, egress_id: string): Record => ({ type: 'egress.decided', run_id, facts: { egress_id, spent: { requests: 1 } }, payload: { url: 'http://site.example/' } });
export const completed = (run_id: string, egress_id: string, spent: Spent = {}): Record => ({ type: 'egress.completed', run_id, facts: { egress_id, spent } });
export const denied = (run_id: string, egress_id: string): Record => ({ type: 'egress.denied', run_id, facts: { egress_id, code: 'policy_denied', effect: 'deny' } });
export const returned = (run_id: string, units: Spent): Record => ({ type: 'allowance.returned', run_id, facts: { returned: units } });
export const recovered = (journal_id: string, open: readonly { readonly egress_id: string; readonly run_id: string }[]): Record => ({ type: 'journal.recovered', facts: { journal_id, open: open as unknown as JsonObject[] } });
