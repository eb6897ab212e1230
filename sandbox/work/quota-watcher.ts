import type { Clock, Timer } from '../../contracts/clock.ts';
import { surveyFolder } from './survey.ts';

const leastPauseMs = 1000;
const pausePerLook = 20;
/** A work folder with more entries cannot be held to a quota, and growing beyond them counts as exceeding it. */
export const mostWatched = 500_000;

/**
 * Ends a jail whose work folder has grown by more than its quota. It looks about once a second, less often in large folders, so
 * that an agent may write more than the quota in between; files that are open but have no name are not seen.
 */
export function watchQuota(folder: string, startBytes: number, quotaBytes: number, clock: Clock, onExceeded: () => void): { stop(): void } {
  let timer: Timer | undefined;
  let isStopped = false;
  const look = async (): Promise<void> => {
    const started = clock.monotonic();
    const { bytes, entries } = await surveyFolder(folder, { entries: mostWatched, isOver: () => isStopped });
    if (isStopped) return;
    if (bytes - startBytes > quotaBytes || entries >= mostWatched) {
      onExceeded();
      return;
    }
    plan(Math.max(leastPauseMs, pausePerLook * (clock.monotonic() - started)));
  };
  const plan = (delay: number): void => {
    timer = clock.setTimeout(() => { void look().catch(onExceeded); }, delay, { background: true });
  };
  plan(leastPauseMs);
  return {
    stop: () => {
      isStopped = true;
      timer?.cancel();
    },
  };
}
