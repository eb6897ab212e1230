import type { Clock } from '../../contracts/clock.ts';
import { heartbeatEveryMs, type HeartbeatAnswer, type RunProgress } from '../../contracts/run-api.ts';
import { isTerminal } from '../../contracts/run.ts';
import type { ApiClient } from '../api-client.ts';

/** Between tries while the control plane is away; it restarts within seconds. Milliseconds. */
const firstPause = 100;
const longestPause = 2000;

export interface RunWatch {
  /** Settles when the run has ended, whoever ended it; never, when nothing ends it before `stop`. */
  readonly terminal: Promise<RunProgress>;
  stop(): void;
}

/** Follows a run's stream and renews the launcher's lease. A control plane that comes back is taken up again. */
export function watchRun(api: ApiClient, runId: string, clock: Clock, onProgress: (progress: RunProgress) => void): RunWatch {
  const over = new AbortController();
  const ended = Promise.withResolvers<RunProgress>();
  const seen = (progress: RunProgress): void => {
    onProgress(progress);
    if (isTerminal(progress.state)) ended.resolve(progress);
  };
  void follow(api, runId, clock, over.signal, seen);
  void renew(api, runId, clock, over.signal);
  return { terminal: ended.promise, stop: () => over.abort() };
}

async function follow(api: ApiClient, runId: string, clock: Clock, over: AbortSignal, seen: (progress: RunProgress) => void): Promise<void> {
  let pause = firstPause;
  while (!over.aborted) {
    try {
      for await (const { event, data } of api.events(`/chat/run/${runId}/stream`, over)) {
        if (event !== 'state' && event !== 'progress') continue;
        pause = firstPause;
        const progress = data as RunProgress;
        seen(progress);
        if (isTerminal(progress.state)) return;
      }
    } catch {
      // Away for a moment: the hold on the supervisor says when it is gone for good.
    }
    await sleep(clock, pause, over);
    pause = Math.min(pause * 2, longestPause);
  }
}

async function renew(api: ApiClient, runId: string, clock: Clock, over: AbortSignal): Promise<void> {
  let pause = heartbeatEveryMs;
  for (;;) {
    await sleep(clock, pause, over);
    if (over.aborted) return;
    pause = await api.call<HeartbeatAnswer>('POST', `/chat/run/${runId}/heartbeat`, { body: {}, signal: over, timeoutMs: heartbeatEveryMs })
      .then(() => heartbeatEveryMs, () => longestPause);
  }
}

function sleep(clock: Clock, milliseconds: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (over.aborted) return resolve();
    const timer = clock.setTimeout(done, milliseconds, { background: true });
    function done(): void {
      timer.cancel();
      over.removeEventListener('abort', done);
      resolve();
    }
    over.addEventListener('abort', done);
  });
}
