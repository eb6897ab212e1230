import { z } from 'zod';
import { jsonObjectSchema, type JsonObject } from './json.ts';

/**
 * The catalogue of event types, in past tense; additive only. The comment names what `facts` holds: facts are hashed as
 * they are and never shredded, since state is rebuilt from them; `payload` is hashed as a salted digest (audit.md).
 */
export const eventTypes = [
  // Control plane.
  'session.created', // {session_id}
  'run.created', // {state, epoch, channel, limits, deadline_at}
  'run.transitioned', // {from, to, epoch}
  'key.created', // {key_id, kind}
  'policy.activated', // {revision}
  'budget.threshold_reached', // {meter, percent, used, limit}
  'chain.incarnated', // {incarnation}
  // Proxy: one exchange is `egress.denied`, or `egress.decided` before the first byte and one of the last three after it.
  'egress.denied', // {egress_id, code, effect: deny | require_approval | fault}
  'egress.decided', // {egress_id, spent: {requests: 1}}
  'egress.retried', // {egress_id, spent: {requests: 1}}
  'egress.completed', // {egress_id, spent: {bytes_out, bytes_in}}
  'egress.failed', // the same, and {code}
  'egress.cut', // the same, and {code, meter?}
  'allowance.returned', // {returned: {<meter>: units}}
  'journal.opened', // {journal_id, slot}
  'journal.recovered', // {journal_id, open: [{egress_id, run_id}]}: written after a crash by the worker that took the slot over, one for every 400 open exchanges
  'journal.omitted', // {records}: refusals that were not written: while the disk was full, too large, or of a run that makes too many
  'engine.replaced', // {throws}
] as const;

export type EventType = (typeof eventTypes)[number];

export const actorKinds = ['operator', 'agent', 'connector', 'proxy', 'system'] as const;

/** Printable ASCII: ids are columns of a database, which refuses U+0000, and parts of canonical JSON, which refuses half a surrogate pair. */
const id = z.string().max(100).regex(/^[ -~]+$/);
const text = (most: number): z.ZodString => z.string().max(most).refine((value) => value.isWellFormed(), 'must be well-formed');

/** An event as it is recorded, shipped and exported. Times are milliseconds since 1970, all numbers integers. */
export const eventSchema = z.strictObject({
  v: z.literal(1),
  event_id: z.uuidv7(),
  type: z.enum(eventTypes),
  at: z.int().min(0),
  session_id: id.optional(),
  run_id: id.optional(),
  step_id: id.optional(),
  causes: z.array(z.uuidv7()).max(16),
  actor: z.strictObject({ kind: z.enum(actorKinds), id }),
  policy: z.strictObject({ revision: text(100), rules: z.array(text(200)).max(64) }).optional(),
  facts: jsonObjectSchema,
  payload: jsonObjectSchema,
});

export interface Actor {
  readonly kind: (typeof actorKinds)[number];
  readonly id: string;
}

export interface Event {
  readonly v: 1;
  readonly event_id: string;
  readonly type: EventType;
  readonly at: number;
  readonly session_id?: string;
  readonly run_id?: string;
  readonly step_id?: string;
  readonly causes: readonly string[];
  readonly actor: Actor;
  readonly policy?: { readonly revision: string; readonly rules: readonly string[] };
  readonly facts: JsonObject;
  readonly payload: JsonObject;
}
