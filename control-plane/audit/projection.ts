import type { Event } from '../../contracts/event.ts';

/** One row of the projection: an event of the control plane, or one exchange with its completion. */
export interface EventRow {
  readonly event_id: string;
  readonly type: string;
  readonly at: number;
  readonly run_id: string | null;
  /** Of the entry's body, from 0. */
  readonly line: number;
  /** What a completion in a later segment is joined by. */
  readonly egress_id: string | null;
  readonly completion_id: string | null;
  readonly completion_type: string | null;
  readonly completion_line: number | null;
}

export interface Completion {
  readonly egress_id: string;
  readonly event_id: string;
  readonly type: string;
  readonly line: number;
  readonly event: Event;
}

export interface Activity {
  readonly run_id: string;
  readonly allowed: number;
  readonly denied: number;
}

export interface Projection {
  readonly rows: readonly EventRow[];
  /** Completions whose exchange is not among these events. */
  readonly completions: readonly Completion[];
  readonly activity: readonly Activity[];
}

const completionTypes = new Set(['egress.completed', 'egress.failed', 'egress.cut']);

/** What Postgres stores in a column and an index; anything else is nobody's egress id. */
const storable = /^[ -~]{1,100}$/;

function egressIdOf(event: Event): string | undefined {
  const id = event.facts['egress_id'];
  return typeof id === 'string' && storable.test(id) ? id : undefined;
}

export function rowOf(event: Event, line: number, completion?: Completion): EventRow {
  return {
    event_id: event.event_id,
    type: event.type,
    at: event.at,
    run_id: event.run_id ?? null,
    line,
    egress_id: event.type === 'egress.decided' ? egressIdOf(event) ?? null : null,
    completion_id: completion?.event_id ?? null,
    completion_type: completion?.type ?? null,
    completion_line: completion?.line ?? null,
  };
}

/** Puts decided exchanges and their completions together where one segment has both, which is the rule. The index of an event is its line. */
export function project(events: readonly Event[]): Projection {
  const completions = new Map<string, Completion>();
  const alone: number[] = [];
  for (const [line, event] of events.entries()) {
    const egress_id = completionTypes.has(event.type) ? egressIdOf(event) : undefined;
    if (egress_id === undefined || completions.has(egress_id)) alone.push(line);
    else completions.set(egress_id, { egress_id, event_id: event.event_id, type: event.type, line, event });
  }
  const rows = alone.map((line) => {
    const event = events[line]!;
    const egress_id = event.type === 'egress.decided' ? egressIdOf(event) : undefined;
    const completion = egress_id === undefined ? undefined : completions.get(egress_id);
    // One completion is of one exchange.
    if (completion !== undefined) completions.delete(completion.egress_id);
    return rowOf(event, line, completion);
  });
  return { rows, completions: [...completions.values()], activity: activityOf(events) };
}

function activityOf(events: readonly Event[]): readonly Activity[] {
  const counts = new Map<string, { allowed: number; denied: number }>();
  for (const { type, run_id } of events) {
    if (run_id === undefined || (type !== 'egress.decided' && type !== 'egress.denied')) continue;
    const count = counts.get(run_id) ?? { allowed: 0, denied: 0 };
    count[type === 'egress.decided' ? 'allowed' : 'denied']++;
    counts.set(run_id, count);
  }
  return [...counts].map(([run_id, count]) => ({ run_id, ...count }));
}
