import { z } from 'zod';
import { agentCommandSchema } from './agents.ts';
import { amountsSchema, type Balances } from './budget.ts';
import { channels, runStateSchema, type Channel, type RunState } from './run.ts';
import { wantedRunPolicySchema, type RunPolicy } from './run-policy.ts';
import type { Event } from './event.ts';

/** Body of `POST /chat/run`. Without `session_id` the run gets a session of its own. */
export const createRunSchema = z.strictObject({
  goal: z.string().min(1).max(4000),
  session_id: z.string().min(1).max(100).optional(),
  agent: z.string().min(1).max(200).optional(),
  channel: z.enum(channels).default('credentials'),
  budget: amountsSchema.optional(),
  /** Milliseconds from creation; at most 30 days. */
  deadline_ms: z.int().min(1000).max(30 * 24 * 3600 * 1000).optional(),
  /** `sallyport run` has no wall-clock limit unless one is given; API runs have the default one. */
  unlimited_wall_clock: z.boolean().optional(),
  /** `intercept` is on for channel `jail` and off for the others unless it is said; the answer carries what it is. */
  policy: wantedRunPolicySchema.optional(),
  queue: z.boolean().optional(),
  /** A jail host starts it once the run is Active; only for the local operator, and only on channel `jail`. */
  command: agentCommandSchema.optional(),
  labels: z.record(z.string().min(1).max(63), z.string().max(200)).optional(),
}).refine(({ command, channel }) => command === undefined || channel === 'jail', { path: ['command'], message: 'needs channel jail' });
export type CreateRun = z.infer<typeof createRunSchema>;
/** As callers write it. */
export type CreateRunInput = Omit<z.input<typeof createRunSchema>, 'policy'> & { readonly policy?: Omit<RunPolicy, 'intercept'> & Partial<Pick<RunPolicy, 'intercept'>> };

/** Answer of `GET /chat/run/:run_id`. Times are milliseconds since 1970. */
export interface RunView {
  readonly run_id: string;
  readonly session_id: string;
  readonly goal: string;
  readonly agent: string;
  readonly channel: Channel;
  readonly assurance: 'jailed' | 'cooperative';
  readonly state: RunState;
  /** Why it is in this state, for a person. */
  readonly reason: string | null;
  readonly epoch: number;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly deadline_at: number;
  readonly exit_code: number | null;
  readonly budget: Balances;
  readonly policy: RunPolicy;
  readonly labels: Readonly<Record<string, string>>;
  readonly links: { readonly self: string; readonly actions: string };
}

/** 201 of `POST /chat/run`: the view, and what is told only once. `proxies` counts who has taken the run into its snapshot. */
export interface CreatedRun extends RunView {
  readonly correlation_id: string;
  readonly agent_token: string;
  readonly short_id: string;
  readonly proxies: { readonly connected: number; readonly acknowledged: number };
}

/** Body of `POST /chat/run/:run_id/transition`. */
export const transitionSchema = z.strictObject({
  to: runStateSchema,
  reason: z.string().max(1000).optional(),
  exit_code: z.int().min(0).max(255).optional(),
});
export const cancelSchema = z.strictObject({ reason: z.string().max(1000).optional() });

/** Answer of `POST /chat/run/:run_id/heartbeat` (the launcher's lease: every 10 s, lost after 30 s). */
export interface HeartbeatAnswer {
  readonly state: RunState;
  readonly epoch: number;
  readonly budget: Balances;
}
export const heartbeatEveryMs = 10_000;
export const leaseMs = 30_000;

/**
 * Lines of `GET /chat/run/:run_id/stream` (SSE): `event: state` on each change of state, `event: progress` when counts moved
 * (at most four a second); the stream ends after a terminal state.
 */
export interface RunProgress {
  readonly state: RunState;
  readonly reason: string | null;
  readonly allowed: number;
  readonly denied: number;
  readonly budget: Balances;
}

/**
 * One row of `GET /chat/run/:run_id/actions`, newest first: an event of the control plane, or one whole exchange
 * (`completion` is the second event of the pair once it is known).
 */
export interface RunAction {
  readonly event: Event;
  readonly completion: Event | null;
  /** Index of the entry in the chain, once sequenced. */
  readonly entry_index: number | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next_cursor: string | null;
}

export interface ChainHead {
  readonly size: number;
  /** Hex. */
  readonly root: string;
  readonly incarnation: string;
}

/** Answer of `GET /chat/run/:run_id/settled?wait_ms=`: whether all events of an ended run are in the tree. */
export interface SettledAnswer {
  readonly settled: boolean;
  readonly chain: ChainHead;
}

