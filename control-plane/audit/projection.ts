import type { Event } from '../../contracts/event.ts';

/** One row of the projection: an event of the control plane, or one exchange with its completion. */
export interface EventRow {
  readonly event_id: string;
  readonly type: string;
  readonly at: number;
  readonly run_id: string | null;
  readonly body: string;
  /** What a completion in a later segment is joined by. */
  readonly egress_id: string | null;
  readonly completion_id: string | null;
  readonly completion_type: string | null;
  readonly completion_body: string | null;
}

export interface Completion {
  readonly egress_id: string;
  readonly event_id: string;
  readonly type: string;
  readonly body: string;
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

function egressIdOf(event: Event): string | undefined {
  const id = event.facts['egress_id'];
  return typeof id === 'string' ? id : undefined;
}

export function rowOf(event: Event, completion?: Completion): EventRow {
  return {
    event_id: event.event_id,
    type: event.type,
    at: event.at,
    run_id: event.run_id ?? null,
    body: JSON.stringify(event),
    egress_id: event.type === 'egress.decided' ? egressIdOf(event) ?? null : null,
    completion_id: completion?.event_id ?? null,
    completion_type: completion?.type ?? null,
    completion_body: completion?.body ?? null,
  };
}

/** Puts decided exchanges and their completions together where one segment has both, which is the rule. */
export function project(events: readonly Event[]): Projection {
  const decided = new Set(events.filter(({ type }) => type === 'egress.decided').map(egressIdOf));
  const completions = new Map<string, Completion>();
  const elsewhere: Completion[] = [];
  const alone: Event[] = [];
  for (const event of events) {
    if (!completionTypes.has(event.type)) {
      alone.push(event);
      continue;
    }
    const egress_id = egressIdOf(event);
    if (egress_id === undefined || completions.has(egress_id)) {
      alone.push(event);
      continue;
    }
    const completion: Completion = { egress_id, event_id: event.event_id, type: event.type, body: JSON.stringify(event), event };
    if (decided.has(egress_id)) completions.set(egress_id, completion);
    else elsewhere.push(completion);
  }
  const rows = alone.map((event) => {
    const egress_id = event.type === 'egress.decided' ? egressIdOf(event) : undefined;
    return rowOf(event, egress_id === undefined ? undefined : completions.get(egress_id));
  });
  return { rows, completions: elsewhere, activity: activityOf(events) };
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
