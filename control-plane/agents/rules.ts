import { mostAgents, mostPresent } from '../../contracts/agent-limits.ts';
import type { AgentCommand, AgentKey, AgentReport } from '../../contracts/agents.ts';

/** `waiting`: its run is not Active yet. `exited`: its run is over, however it ended. */
export type AgentStatus = 'waiting' | 'wanted' | 'running' | 'exited';

export interface Agent extends AgentKey {
  readonly command: AgentCommand;
  readonly status: AgentStatus;
  /** The jail host that has taken it. */
  readonly host_id: string | undefined;
}

export interface Outcome {
  readonly to: 'Done' | 'Failed';
  readonly reason?: string | undefined;
  readonly exit_code?: number | undefined;
}

/** What becomes of the run by its host's last word on the agent. */
export function outcomeOf(report: Extract<AgentReport, { type: 'exited' | 'refused' }>): Outcome {
  if (report.type === 'refused') return { to: 'Failed', reason: `the agent could not be started: ${report.detail}`.slice(0, 1000) };
  const { exit_code, reason } = report;
  if (exit_code === 0 && reason === undefined) return { to: 'Done', exit_code };
  return { to: 'Failed', reason: reason ?? (exit_code === undefined ? 'the agent was killed' : `the agent ended with exit code ${exit_code}`), exit_code };
}

export function keyOf({ run_id, epoch }: AgentKey): string {
  return `${run_id}:${epoch}`;
}

export interface HostPlan {
  /** What the host knows and should no longer run. */
  readonly stop: readonly string[];
  /** Agents that it ran, and that are gone; only what a host says as it connects tells so. */
  readonly lost: readonly Agent[];
  /** To be started by it, oldest first. */
  readonly start: readonly Agent[];
}

/**
 * What a host has to be told. `agents` are all that are its own and not over, and some that no host has taken; `known` is what it has
 * said that it runs, and what it has been told to start, by `keyOf`.
 */
export function planFor(host_id: string, agents: readonly Agent[], known: ReadonlySet<string>): HostPlan {
  const live = new Set(agents.map((agent) => keyOf(agent)));
  const own = agents.filter((agent) => agent.host_id === host_id);
  const missing = agents.filter((agent) => !known.has(keyOf(agent)));
  const stop = [...known].filter((key) => !live.has(key));
  const kept = known.size - stop.length;
  // One that ends holds its place at the host until it is gone.
  const room = Math.max(0, Math.min(mostAgents - kept, mostPresent - known.size));
  return {
    stop,
    lost: own.filter((agent) => agent.status === 'running' && !known.has(keyOf(agent))),
    start: missing.filter((agent) => agent.status === 'wanted' && (agent.host_id === undefined || agent.host_id === host_id)).slice(0, room),
  };
}
