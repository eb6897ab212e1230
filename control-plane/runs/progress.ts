import type { RunProgress } from '../../contracts/run-api.ts';
import { toSallyportError } from '../../contracts/errors.ts';
import { isTerminal } from '../../contracts/run.ts';
import { activityOf } from '../audit/commands.ts';
import { balancesOf } from '../budgets/commands.ts';
import type { Context } from '../http/context.ts';
import type { Stream } from '../http/streams.ts';
import type { Services } from '../services.ts';
import { getRun } from './commands.ts';
import { withWallClock } from './rules.ts';
import { SharedLookUps } from './shared-look-ups.ts';

/** At most four a second. */
const shortestMs = 250;
/** Another replica's changes are seen by looking; also the pace at which wall clock moves. */
const pollMs = 1_000;
const keepAliveMs = 15_000;
/** Streams of one run look at different moments; what another has seen so lately need not be looked for again. */
const youngMs = 500;
/** A client that takes nothing is left out, not queued for: each message is the whole present. */
const maxWaitingBytes = 256 * 1024;

async function progressOf(services: Services, run_id: string): Promise<RunProgress> {
  const database = services.database.kysely;
  const run = await getRun(database, run_id);
  const { allowed, denied } = await activityOf(database, run_id);
  const balances = (await balancesOf(database, [run_id])).get(run_id) ?? {};
  return { state: run.state, reason: run.reason ?? null, allowed, denied, budget: withWallClock(balances, run, services.clock.now()) };
}

export type ProgressLookUps = SharedLookUps<RunProgress>;

/** For all streams of this process: a run that many follow is looked up once for them. */
export function progressLookUps(services: Services): ProgressLookUps {
  return new SharedLookUps(services.clock, (run_id) => progressOf(services, run_id));
}

/** What tells two progresses apart; time alone is no progress. */
function countsOf({ allowed, denied, budget: { wall_clock_ms: _time, ...budget } }: RunProgress): string {
  return JSON.stringify({ allowed, denied, budget });
}

/**
 * Server-sent events (WHATWG HTML, section 9.2): `state` at once and on each change, `progress` when counts moved. The first message is
 * the whole present, so who connects again has missed nothing. Ends after a terminal state.
 */
export async function streamProgress(services: Services, lookUps: ProgressLookUps, ctx: Context, run_id: string): Promise<void> {
  const first = await lookUps.get(run_id);
  const { principal } = ctx.state;
  const stream = services.streams.open(ctx.res, 'text/event-stream', maxWaitingBytes, principal.kind === 'agent' ? run_id : undefined);
  ctx.respond = false;
  // Not awaited: the request is answered once its stream has begun.
  follow(services, lookUps, stream, run_id, first)
    .catch((error: unknown) => { services.onFault(toSallyportError(error), ctx.state.requestId); })
    .finally(() => {
      lookUps.forget(run_id);
      stream.end();
    });
}

async function follow(services: Services, lookUps: ProgressLookUps, stream: Stream, run_id: string, first: RunProgress): Promise<void> {
  let told = first;
  const send = (event: 'state' | 'progress', progress: RunProgress): boolean => stream.write(`event: ${event}\ndata: ${JSON.stringify(progress)}\n\n`);
  send('state', told);
  let spoke = services.clock.monotonic();
  while (!isTerminal(told.state) && !stream.closed.aborted) {
    const wait = services.signals.next([`run:${run_id}`], services.clock, pollMs, stream.closed);
    const waited = services.clock.monotonic();
    await wait.over;
    if (stream.closed.aborted) return;
    // What a signal speaks of may be younger than what another stream has seen.
    const byTime = services.clock.monotonic() - waited >= pollMs;
    const progress = await lookUps.get(run_id, byTime ? youngMs : 0);
    const now = services.clock.monotonic();
    if (progress.state !== told.state) send('state', progress);
    else if (countsOf(progress) !== countsOf(told) && stream.waiting === 0) send('progress', progress);
    else {
      if (now - spoke >= keepAliveMs && stream.write(': still here\n\n')) spoke = now;
      continue;
    }
    told = progress;
    spoke = now;
    if (!isTerminal(told.state)) await services.signals.next([], services.clock, shortestMs, stream.closed).over;
  }
}
