import { z } from 'zod';

/** The exact strings on the wire and in the database (runs.md). */
export const runStates = [
  'Queued', 'Scheduled', 'Active', 'PausedApproval', 'PausedExternalEvent', 'PausedCheckpoint', 'ScheduleSuspended',
  'Done', 'Failed', 'Cancelled',
] as const;

export const runStateSchema = z.enum(runStates);
export type RunState = (typeof runStates)[number];

/** States that a run can be in so far; the paused and scheduled ones exist as words only. */
const terminal: ReadonlySet<RunState> = new Set(['Done', 'Failed', 'Cancelled']);

export function isTerminal(state: RunState): boolean {
  return terminal.has(state);
}

/** Who asks for a transition. `launcher` is the process that started the agent and saw it exit. */
export type TransitionActor = 'operator' | 'agent' | 'launcher' | 'system';

type Rule = readonly [from: RunState, to: RunState, by: readonly TransitionActor[]];

const rules: readonly Rule[] = [
  ['Queued', 'Active', ['system']],
  ['Queued', 'Cancelled', ['operator']],
  ['Queued', 'Failed', ['system']],
  ['Active', 'Done', ['agent', 'launcher']],
  ['Active', 'Failed', ['system', 'agent', 'launcher']],
  ['Active', 'Cancelled', ['operator']],
];

/** The states that `actor` may ask for from `state`; empty for a terminal state. */
export function legalTransitions(state: RunState, actor: TransitionActor): readonly RunState[] {
  return rules.filter(([from, , by]) => from === state && by.includes(actor)).map(([, to]) => to);
}

/**
 * How a run's agent reaches the proxy. `jail`: only through the listener made inside its jail.
 * `credentials`: over TCP with `Proxy-Authorization` (recorded as `assurance: cooperative`).
 */
export const channels = ['jail', 'credentials'] as const;
export type Channel = (typeof channels)[number];
