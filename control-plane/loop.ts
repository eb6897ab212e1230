import { toSallyportError } from '../contracts/errors.ts';
import { toDatabaseError } from './database/failures.ts';
import type { Services } from './services.ts';
import type { Signal } from './signals.ts';

export interface Loop {
  /** Settles when what is under way has ended. */
  stop(): Promise<void>;
}

export interface LoopPlan {
  readonly name: string;
  /** Milliseconds between rounds when nothing calls for one earlier. */
  readonly every: number;
  /** What calls for a round. */
  readonly on?: readonly Signal[];
  readonly round: () => Promise<void>;
}

/** An error that goes on is told again after this many milliseconds, so that an outage does not fill the log. */
const againMs = 60_000;

/** Runs `round` again and again, never twice at a time, the first time at once. A round that fails is told and tried again in the next. */
export function startLoop(services: Services, plan: LoopPlan): Loop {
  const stopping = new AbortController();
  let told: { readonly message: string; readonly at: number } | undefined;
  const tell = (thrown: unknown): void => {
    const error = toSallyportError(toDatabaseError(thrown));
    const now = services.clock.monotonic();
    if (told?.message === error.message && now - told.at < againMs) return;
    told = { message: error.message, at: now };
    services.onFault(error, `loop ${plan.name}`);
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const next = services.signals.next(plan.on ?? [], services.clock, plan.every, stopping.signal);
      try {
        await plan.round();
        told = undefined;
      } catch (error) {
        tell(error);
        // A signal that came meanwhile would fail the same way, so only time calls for the next round.
        next.cancel();
        await services.signals.next([], services.clock, plan.every, stopping.signal).over;
      }
      await next.over;
    }
  };
  const ended = run();
  return {
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}
