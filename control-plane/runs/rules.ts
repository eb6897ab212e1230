import { defaultDeadlineMs, defaultLimits, type Amounts, type Balances } from '../../contracts/budget.ts';
import type { Actor } from '../../contracts/event.ts';
import { isTerminal, legalTransitions, type Channel, type RunState, type TransitionActor } from '../../contracts/run.ts';
import type { CreateRun, RunView } from '../../contracts/run-api.ts';
import { interceptsByDefault, runPolicySchema, type RunPolicy } from '../../contracts/run-policy.ts';
import type { Principal } from '../access/rules.ts';

/** A run as it is stored, with `undefined` for what is not known (yet). */
export interface Run {
  readonly run_id: string;
  readonly session_id: string;
  readonly short_id: string;
  readonly goal: string;
  readonly agent: string;
  readonly channel: Channel;
  readonly state: RunState;
  readonly reason: string | undefined;
  readonly epoch: number;
  readonly token_sha256: string;
  readonly created_at: number;
  readonly started_at: number | undefined;
  readonly ended_at: number | undefined;
  /** Wall clock or the absolute deadline, whichever comes first. */
  readonly deadline_at: number;
  readonly absolute_deadline_at: number;
  readonly lease_expires_at: number;
  readonly exit_code: number | undefined;
  readonly policy: RunPolicy;
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: Amounts;
  readonly version: number;
}

/** Defaults stand for every meter that is not named; only wall clock can be unlimited, and only when it is said. */
export function limitsOf(input: Pick<CreateRun, 'budget' | 'unlimited_wall_clock'>): Amounts {
  const { wall_clock_ms, ...others } = defaultLimits;
  const wallClock = input.unlimited_wall_clock === true ? {} : { wall_clock_ms: wall_clock_ms! };
  return { ...others, ...wallClock, ...input.budget };
}

/** With everything decided that was left open. */
export function policyOf({ policy, channel }: Pick<CreateRun, 'policy' | 'channel'>): RunPolicy {
  return { ...(policy ?? runPolicySchema.parse({})), intercept: policy?.intercept ?? interceptsByDefault(channel) };
}

export function absoluteDeadline(input: Pick<CreateRun, 'deadline_ms'>, createdAt: number): number {
  return createdAt + (input.deadline_ms ?? defaultDeadlineMs);
}

/** When an active run ends by itself. */
export function deadlineAt(absoluteDeadline: number, limits: Amounts, startedAt: number): number {
  return Math.min(absoluteDeadline, startedAt + (limits.wall_clock_ms ?? Number.MAX_SAFE_INTEGER - startedAt));
}

export const launcherLost = 'launcher lost';

/** Why the system has to fail a run now; `undefined` while it may go on. `leases` is false while launchers couldn't have renewed theirs. */
export function overdueReason(run: Run, now: number, leases: boolean): string | undefined {
  if (isTerminal(run.state)) return undefined;
  if (now >= run.absolute_deadline_at) return 'deadline has passed';
  if (run.state !== 'Active') return undefined;
  if (now >= run.deadline_at) return 'wall clock budget is used up';
  if (leases && run.channel === 'jail' && now >= run.lease_expires_at) return launcherLost;
  return undefined;
}

/**
 * As what a principal may ask for a transition of this run. The local operator also speaks as the launcher of a jailed run:
 * only the process that started the jail sees its agent exit.
 */
export function transitionActors(principal: Principal, run: Pick<Run, 'channel' | 'run_id'>): readonly TransitionActor[] {
  if (principal.kind === 'operator') return principal.local && run.channel === 'jail' ? ['operator', 'launcher'] : ['operator'];
  return principal.kind === 'agent' && principal.run_id === run.run_id ? ['agent'] : [];
}

export function legalFor(state: RunState, actors: readonly TransitionActor[]): readonly RunState[] {
  return [...new Set(actors.flatMap((actor) => legalTransitions(state, actor)))];
}

export function actorOf(principal: Principal): Actor {
  return { kind: principal.kind, id: principal.id };
}

/** Active milliseconds; never more than the limit, though the end is noticed a little later. */
export function wallClockUsed(run: Pick<Run, 'started_at' | 'ended_at' | 'limits'>, now: number): number {
  if (run.started_at === undefined) return 0;
  const elapsed = Math.max(0, (run.ended_at ?? now) - run.started_at);
  return Math.min(elapsed, run.limits.wall_clock_ms ?? elapsed);
}

export function withWallClock(balances: Balances, run: Run, now: number): Balances {
  const limit = run.limits.wall_clock_ms ?? null;
  const used = wallClockUsed(run, now);
  return { ...balances, wall_clock_ms: { limit, used, reserved: 0, remaining: limit === null ? null : limit - used } };
}

export function viewOf(run: Run, balances: Balances, now: number): RunView {
  const self = `/chat/run/${run.run_id}`;
  return {
    run_id: run.run_id,
    session_id: run.session_id,
    goal: run.goal,
    agent: run.agent,
    channel: run.channel,
    assurance: run.channel === 'jail' ? 'jailed' : 'cooperative',
    state: run.state,
    reason: run.reason ?? null,
    epoch: run.epoch,
    created_at: run.created_at,
    started_at: run.started_at ?? null,
    ended_at: run.ended_at ?? null,
    deadline_at: run.deadline_at,
    exit_code: run.exit_code ?? null,
    budget: withWallClock(balances, run, now),
    policy: run.policy,
    labels: run.labels,
    links: { self, actions: `${self}/actions` },
  };
}
