import { z } from 'zod';
import { mostPresent } from './agent-limits.ts';
import { jailSpecSchema } from './jail.ts';

const { argv, env, work, give_work } = jailSpecSchema.shape;

/** What a jail host is to start for a run, as in `JailSpec`. `work` is a folder of the host's machine. */
export const agentCommandSchema = z.strictObject({
  argv: argv.max(256),
  env: env.refine((values) => Object.keys(values).length <= 128, 'holds more than 128 variables'),
  work: work.max(4095),
  give_work,
});
export type AgentCommand = z.infer<typeof agentCommandSchema>;

/** One start of a run's agent. */
export interface AgentKey {
  readonly run_id: string;
  readonly epoch: number;
}

export interface WantedAgent extends AgentKey {
  readonly short_id: string;
  readonly command: AgentCommand;
  /** As in the run's policy: the jail is to trust our authority. */
  readonly intercept: boolean;
}

/**
 * Lines of `GET /data-plane/agents?host_id=&present=` (NDJSON), the port between control plane and jail host. `present` names what the
 * host runs, or has not told the end of, as `run_id:epoch` joined by commas: any other agent of this host is lost. An agent that the
 * host knows already is not started twice; `stop` of an unknown one means nothing.
 */
export type AgentMessage =
  | ({ readonly type: 'agent' } & WantedAgent)
  | ({ readonly type: 'stop' } & AgentKey)
  | { readonly type: 'heartbeat'; readonly at: number };

const id = z.string().regex(/^[\w.-]{1,100}$/, 'must be an id');
const key = { run_id: id, epoch: z.int().min(1) };

/** Body of `POST /data-plane/agents/reports`: what happened to an agent, each sent until it is taken; or that the host is alive. */
export const agentReportSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('started'), host_id: id, ...key }),
  /** Exit code 0 without a `reason` is success. */
  z.strictObject({ type: z.literal('exited'), host_id: id, ...key, exit_code: z.int().min(0).max(255).optional(), reason: z.string().max(1000).optional() }),
  z.strictObject({ type: z.literal('refused'), host_id: id, ...key, code: z.string().max(100), detail: z.string().max(1000) }),
  z.strictObject({ type: z.literal('heartbeat'), host_id: id, present: z.array(z.strictObject(key)).max(mostPresent) }),
]);
export type AgentReport = z.infer<typeof agentReportSchema>;
