import { z } from 'zod';
import { spentSchema, type Amounts, type Balances, type SpendableMeter, type Spent } from './budget.ts';
import type { Channel, RunState } from './run.ts';
import type { RunPolicy } from './run-policy.ts';

/** Version of this protocol; both sides refuse another major one with `not_supported`. */
export const dataPlaneVersion = 1;

/** Age after which a proxy that heard nothing stops deciding (`snapshot_expired`); the stream's heartbeat renews it. */
export const snapshotMaxAgeMs = 300_000;
export const heartbeatMs = 5_000;

/** What a proxy knows of one run. `token_sha256` is hex; the token itself is known only to the agent. */
export interface RunSnapshot {
  readonly run_id: string;
  readonly session_id: string;
  /** Name of the run's socket below `<data>/s/`: a Unix socket path may hold 107 bytes. */
  readonly short_id: string;
  readonly agent: string;
  readonly state: RunState;
  readonly epoch: number;
  readonly token_sha256: string;
  readonly channel: Channel;
  readonly policy: RunPolicy;
  readonly labels: Readonly<Record<string, string>>;
  readonly taint: string | null;
  /** Milliseconds since 1970 at which wall clock or the absolute deadline, whichever comes first, ends the run. */
  readonly deadline_at: number;
  readonly limits: Amounts;
}

/** The number of each meter's recall, counted by run and meter. Each is answered once by `POST /data-plane/returns`. */
export type Recalls = Spent;

/** Lines of `GET /data-plane/stream` (NDJSON). After `hello` come all live runs, then `synced`, then changes as they happen. */
export type StreamMessage =
  | { readonly type: 'hello'; readonly protocol: number; readonly incarnation: string; readonly snapshot_max_age_ms: number; readonly revision: string }
  | { readonly type: 'run'; readonly version: number; readonly run: RunSnapshot }
  | { readonly type: 'synced'; readonly version: number }
  | { readonly type: 'bundle'; readonly version: number; readonly revision: string }
  | { readonly type: 'sealed'; readonly journal_id: string; readonly through: number }
  | { readonly type: 'recall'; readonly run_id: string; readonly recalls: Recalls }
  | { readonly type: 'heartbeat'; readonly at: number };

/** `POST /data-plane/acknowledgements`: this proxy has applied everything up to `version`. */
export const acknowledgementSchema = z.strictObject({
  proxy_id: z.string().min(1).max(100),
  version: z.int().min(0),
  revision: z.string().max(100),
});
export type Acknowledgement = z.infer<typeof acknowledgementSchema>;

/**
 * `POST /data-plane/allowances`: draw units of a run's budget. `draw_id` makes a repeated call answer the same grant.
 * `wanted` is the least that is of use; the answer may hold more, so that the next requests need no call.
 */
export const drawSchema = z.strictObject({
  draw_id: z.string().min(1).max(100),
  journal_id: z.string().min(1).max(100),
  run_id: z.string().min(1).max(100),
  epoch: z.int().min(0),
  wanted: spentSchema,
  waiting: spentSchema.optional(),
});
export interface Draw {
  readonly draw_id: string;
  readonly journal_id: string;
  readonly run_id: string;
  readonly epoch: number;
  readonly wanted: Spent;
  /** The part of `wanted` that somebody waits for. Only for these units are others asked to give back what they hold idle. */
  readonly waiting?: Spent | undefined;
}
/**
 * `granted[m]` is 0 or less than wanted when the budget cannot give more: the meter is then in `exhausted`, or, while others are
 * asked for what those who wait are short of, in `recalling`: draw again soon.
 */
export interface DrawAnswer {
  readonly granted: Spent;
  readonly exhausted: readonly SpendableMeter[];
  readonly recalling?: readonly SpendableMeter[] | undefined;
  readonly balances: Balances;
}

/**
 * `POST /data-plane/returns`: the answer to recalls, also where there is nothing to give back. `returned` is no longer the proxy's from
 * the moment it is first sent; it is sent again until it is answered, and counts once, by the numbers of its recalls. Answer 200 `{}`.
 */
export const returnSchema = z.strictObject({
  journal_id: z.string().min(1).max(100),
  run_id: z.string().min(1).max(100),
  returned: spentSchema,
  recalls: spentSchema,
});
export interface Return {
  readonly journal_id: string;
  readonly run_id: string;
  readonly returned: Spent;
  readonly recalls: Recalls;
}

/**
 * `POST /data-plane/events`: one closed journal segment, byte for byte as on disk (contracts/journal.ts), gzip allowed.
 * Answer 200 `{journal_id, sequence, status: 'ingested' | 'known'}`. The same (journal_id, sequence) with another digest is
 * 409 `journal_forked`; a sequence that is not the next one is 409 `journal_gap` with `expected` beside the problem's fields.
 */
export interface IngestAnswer {
  readonly journal_id: string;
  readonly sequence: number;
  readonly status: 'ingested' | 'known';
}
