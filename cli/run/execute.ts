import { randomUUID } from 'node:crypto';
import { systemClock } from '../../contracts/clock.ts';
import type { Amounts } from '../../contracts/budget.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Jail, JailEnd, JailSpecInput } from '../../contracts/jail.ts';
import type { CreatedRun, RunProgress, RunView } from '../../contracts/run-api.ts';
import type { RunPolicy } from '../../contracts/run-policy.ts';
import { localApi, type ApiClient } from '../api-client.ts';
import type { Environment } from '../config.ts';
import { apiSocket } from '../data-folder-paths.ts';
import { collectRun, type CollectedRun } from '../report/collect.ts';
import { ensureUp } from '../up/ensure.ts';
import type { Link } from '../up/link-client.ts';
import { handleSignals, type Interruption } from './interruption.ts';
import { progressText, type LiveLine } from './live-line.ts';
import { persist } from './persist.ts';
import { connectRun } from './connect-run.ts';
import { createRelay } from './relay.ts';
import { passStdio } from './stdio.ts';
import { trustFor } from './trust.ts';
import { verdictOf, type Verdict } from './verdict.ts';
import type { RunWatch } from './watch.ts';

export interface RunPlan {
  readonly dataFolder: string;
  readonly goal: string;
  readonly policy: RunPolicy;
  readonly budget: Amounts;
  readonly jail: Omit<JailSpecInput, 'run_id'>;
}

export interface FinishedRun {
  readonly exitCode: number;
  readonly collected: CollectedRun;
  readonly end: JailEnd;
  readonly warnings: readonly string[];
}

/** One run in one jail, from its creation to its record. Whatever fails on the way, no jail stays, and no run stays Active. */
export async function executeRun(plan: RunPlan, environment: Environment, line: LiveLine): Promise<FinishedRun> {
  const interruption = handleSignals();
  const link = await ensureUp(plan.dataFolder, environment, systemClock);
  try {
    const api = localApi(apiSocket(plan.dataFolder));
    let up = true;
    void link.ended.then(() => { up = false; });
    const firmly = <T>(call: () => Promise<T>): Promise<T> => persist(call, systemClock, { up: () => up });
    const creating = createRun(api, plan, firmly);
    // What the jail needs is loaded while the control plane works.
    const loading = Promise.all([import('../../sandbox/start-jail.ts'), import('./watch.ts')]);
    const trusting = trustFor(plan.policy, plan.dataFolder);
    trusting.catch(() => { /* Heard of below, where the run can be ended. */ });
    const [created, [{ startJail }, { watchRun }]] = await Promise.all([creating, loading]);
    const relay = createRelay(connectRun(plan.dataFolder, created.short_id, systemClock));
    let jail: Jail;
    try {
      if (created.proxies.acknowledged === 0) throw new SallyportError('control_plane_unreachable', 'No proxy worker has taken the run up.', { next_steps: ['Try again; if it stays, run sallyport down and look at the log.'] });
      jail = await startJail({ ...plan.jail, run_id: created.run_id, ...await trusting }, { onConnection: (socket) => relay.accept(socket) });
    } catch (error) {
      await firmly(() => endRun(api, created.run_id, { state: 'Failed', reason: `the jail could not be started: ${(error as Error).message}` }));
      throw error;
    }
    const { end, verdict } = await attend(jail, { link, line, interruption, watch: (onProgress) => watchRun(api, created.run_id, systemClock, onProgress) });
    relay.close();
    await firmly(() => endRun(api, created.run_id, verdict));
    return { exitCode: verdict.exitCode, collected: await firmly(() => collectRun(api, created.run_id)), end, warnings: jail.facts.warnings };
  } finally {
    interruption.release();
    link.close();
  }
}

type Firmly = <T>(call: () => Promise<T>) => Promise<T>;

async function createRun(api: ApiClient, { goal, policy, budget, jail }: RunPlan, firmly: Firmly): Promise<CreatedRun> {
  const idempotencyKey = randomUUID();
  return await firmly(() => api.call<CreatedRun>('POST', '/chat/run', {
    idempotencyKey,
    body: {
      goal, policy, budget, channel: 'jail', agent: (jail.argv[0] ?? '').slice(0, 200).toWellFormed(),
      ...(budget.wall_clock_ms === undefined && { unlimited_wall_clock: true }),
    },
  }));
}

interface Surroundings {
  readonly link: Link;
  readonly line: LiveLine;
  readonly interruption: Interruption;
  watch(onProgress: (progress: RunProgress) => void): RunWatch;
}

/** Until no process of the jail is left: by itself, by a signal, because the run ended elsewhere, or because `up` went away. */
async function attend(jail: Jail, { link, line, interruption, watch: startWatch }: Surroundings): Promise<{ readonly end: JailEnd; readonly verdict: Verdict }> {
  const started = systemClock.monotonic();
  interruption.attach(jail);
  let latest: RunProgress | undefined;
  const draw = (): void => { if (latest !== undefined) line.show(progressText(latest, systemClock.monotonic() - started)); };
  const watch = startWatch((progress) => {
    latest = progress;
    draw();
  });
  // Time passes without news, too.
  const ticking = setInterval(draw, 1000).unref();
  let elsewhere: string | undefined;
  let gone = false;
  void watch.terminal.then((progress) => {
    elsewhere = `${progress.state}: ${progress.reason ?? 'ended from elsewhere'}`;
    void jail.kill();
  });
  void link.ended.then(() => {
    gone = true;
    void jail.kill();
  });
  const [end] = await Promise.all([jail.exited, passStdio(jail, line)]);
  watch.stop();
  clearInterval(ticking);
  line.hide();
  const signal = interruption.signal();
  // What the proxy would record after its end has no way to be told any more.
  if (gone) throw new SallyportError('control_plane_unreachable', 'sallyport up ended, so the jail was killed.');
  return { end, verdict: verdictOf({ end, signal, elsewhere }) };
}

/** A run that has ended in the meantime keeps the state it has. */
async function endRun(api: ApiClient, runId: string, verdict: Pick<Verdict, 'state' | 'reason'> & { readonly agentCode?: number | undefined }): Promise<void> {
  if (verdict.state === undefined) return;
  const reason = verdict.reason?.slice(0, 1000).toWellFormed();
  const call = verdict.state === 'Cancelled'
    ? api.call<RunView>('POST', `/chat/run/${runId}/cancel`, { body: { ...(reason !== undefined && { reason }) } })
    : api.call<RunView>('POST', `/chat/run/${runId}/transition`, {
      body: { to: verdict.state, ...(reason !== undefined && { reason }), ...(verdict.agentCode !== undefined && { exit_code: verdict.agentCode }) },
    });
  await call.catch((error: unknown) => {
    if (!(error instanceof SallyportError) || error.code !== 'illegal_transition') throw error;
  });
}
