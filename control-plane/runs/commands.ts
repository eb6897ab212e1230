import type { Kysely } from 'kysely';
import type { RunSnapshot } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Actor } from '../../contracts/event.ts';
import { isTerminal, legalTransitions, type RunState } from '../../contracts/run.ts';
import { leaseMs, type HeartbeatAnswer, type RunView } from '../../contracts/run-api.ts';
import type { Principal } from '../access/rules.ts';
import { closeAgent, wantAgent } from '../agents/commands.ts';
import { balancesOf } from '../budgets/commands.ts';
import { makeChange, type Change } from '../change.ts';
import type { Tables } from '../database/tables.ts';
import { nextVersion } from '../proxies/versions.ts';
import type { Services } from '../services.ts';
import { holdSession } from '../sessions/commands.ts';
import { actorOf, deadlineAt, legalFor, transitionActors, viewOf, withWallClock, type Run } from './rules.ts';
import { lockNextQueued, lockRun, renewLease, renewLeasesOf, selectDrawState, selectLiveRuns, selectRun, selectRunByToken, selectRuns, selectRunsAfter, updateRun, type RunFilter } from './store.ts';

export { countLive, selectRun as findRun } from './store.ts';

/** Throws `not_found`. */
export async function getRun(database: Kysely<Tables>, run_id: string): Promise<Run> {
  const run = await selectRun(database, run_id);
  if (run === undefined) throw new SallyportError('not_found', `There is no run ${run_id}.`);
  return run;
}

export async function viewRun(services: Services, run_id: string): Promise<RunView> {
  const run = await getRun(services.database.kysely, run_id);
  return (await viewRuns(services, [run]))[0]!;
}

export async function listRuns(services: Services, filter: RunFilter): Promise<readonly RunView[]> {
  return await viewRuns(services, await selectRuns(services.database.kysely, filter));
}

async function viewRuns(services: Services, runs: readonly Run[]): Promise<readonly RunView[]> {
  const balances = await balancesOf(services.database.kysely, runs.map(({ run_id }) => run_id));
  return runs.map((run) => viewOf(run, balances.get(run.run_id) ?? {}, services.clock.now()));
}

export interface Ending {
  readonly to: RunState;
  readonly reason?: string | undefined;
  readonly exit_code?: number | undefined;
}

/** What a principal asks for. Throws `not_found`, or `illegal_transition` with what would be legal. */
export async function transitionRun(services: Services, run_id: string, principal: Principal, ending: Ending): Promise<void> {
  const { session_id } = await getRun(services.database.kysely, run_id);
  await makeChange(services, async (change) => {
    await holdSession(change, session_id);
    const run = (await lockRun(change.trx, run_id))!;
    const legal = legalFor(run.state, transitionActors(principal, run));
    if (!legal.includes(ending.to)) {
      const why = isTerminal(run.state) ? 'it is over' : 'that is not for these credentials to ask, or not now';
      throw new SallyportError('illegal_transition', `Run ${run_id} is ${run.state} and cannot become ${ending.to}: ${why}.`, { legal });
    }
    await endRun(change, run, ending, actorOf(principal));
  });
}

/** Every legal transition that is not an activation ends the run. The caller holds the session and the run, and has checked it. */
export async function endRun(change: Change, run: Run, { to, reason, exit_code }: Ending, actor: Actor): Promise<void> {
  await updateRun(change.trx, run.run_id, {
    state: to, reason, exit_code, ended_at: change.at, version: await nextVersion(change),
  });
  change.record({
    type: 'run.transitioned',
    actor,
    session_id: run.session_id,
    run_id: run.run_id,
    facts: { from: run.state, to, epoch: run.epoch },
    payload: { ...reason !== undefined && { reason }, ...exit_code !== undefined && { exit_code } },
  });
  await closeAgent(change, run.run_id, exit_code);
  change.signal(`run:${run.run_id}`);
  change.signal('run-ended');
  if (run.state === 'Active') await activateNext(change, run.session_id);
}

/** The end that a jail host has seen, as a launcher tells it; nothing where the run is over or has been started anew. */
export async function endAgentsRun(change: Change, run_id: string, epoch: number, ending: Ending): Promise<void> {
  const found = await selectRun(change.trx, run_id);
  if (found === undefined) return;
  await holdSession(change, found.session_id);
  const run = (await lockRun(change.trx, run_id))!;
  if (run.epoch !== epoch || !legalTransitions(run.state, 'launcher').includes(ending.to)) return;
  await endRun(change, run, ending, { kind: 'system', id: 'agents' });
}

/** In the same transaction that ended the active one, so the session never has two, and none waits for nothing. */
async function activateNext(change: Change, session_id: string): Promise<void> {
  const run = await lockNextQueued(change.trx, session_id);
  if (run === undefined) return;
  await updateRun(change.trx, run.run_id, {
    state: 'Active',
    reason: undefined,
    started_at: change.at,
    deadline_at: deadlineAt(run.absolute_deadline_at, run.limits, change.at),
    lease_expires_at: change.at + leaseMs,
    version: await nextVersion(change),
  });
  change.record({
    type: 'run.transitioned',
    actor: { kind: 'system', id: 'runs' },
    session_id,
    run_id: run.run_id,
    facts: { from: run.state, to: 'Active', epoch: run.epoch },
    payload: {},
  });
  await wantAgent(change, run.run_id);
  change.signal(`run:${run.run_id}`);
}

/**
 * Renews the lease; a run that is over is told as what it is, so that its launcher ends the jail. A jailed agent is told as well, and
 * renews nothing: the lease says that its launcher lives. Throws `not_found`.
 */
export async function heartbeat(services: Services, run_id: string, by: Principal['kind']): Promise<HeartbeatAnswer> {
  const database = services.database.kysely;
  const { channel } = await getRun(database, run_id);
  if (by !== 'agent' || channel !== 'jail') await makeChange(services, (change) => renewLease(change.trx, run_id, change.at + leaseMs));
  const run = await getRun(database, run_id);
  const balances = await balancesOf(database, [run_id]);
  return { state: run.state, epoch: run.epoch, budget: withWallClock(balances.get(run_id) ?? {}, run, services.clock.now()) };
}

/** For the runs of a jail host; those that are over stay so. */
export async function renewLeases(change: Change, run_ids: readonly string[]): Promise<void> {
  if (run_ids.length > 0) await renewLeasesOf(change.trx, run_ids, change.at + leaseMs);
}

/** The run that an agent's token speaks for, unless it is over. */
export async function runOfToken(database: Kysely<Tables>, token_sha256: string): Promise<string | undefined> {
  const run = await selectRunByToken(database, token_sha256);
  return run === undefined || isTerminal(run.state) ? undefined : run.run_id;
}

export async function mayDraw(change: Change, run_id: string, epoch: number): Promise<boolean> {
  const run = await selectDrawState(change.trx, run_id);
  return run !== undefined && run.state === 'Active' && run.epoch === epoch;
}

export interface Versioned {
  readonly version: number;
  readonly run: RunSnapshot;
}

/** All runs that are not over, in order of version. */
export async function liveSnapshots(database: Kysely<Tables>): Promise<readonly Versioned[]> {
  return (await selectLiveRuns(database)).map(toSnapshot);
}

/** Runs that changed after `version`, the next `limit` of them. */
export async function snapshotsAfter(database: Kysely<Tables>, version: number, limit: number): Promise<readonly Versioned[]> {
  return (await selectRunsAfter(database, version, limit)).map(toSnapshot);
}

function toSnapshot(run: Run): Versioned {
  const { run_id, session_id, short_id, agent, state, epoch, token_sha256, channel, policy, labels, deadline_at, limits } = run;
  return { version: run.version, run: { run_id, session_id, short_id, agent, state, epoch, token_sha256, channel, policy, labels, taint: null, deadline_at, limits } };
}
