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

/** Runs `round` again and again, never twice at a time, the first time at once. A round that fails is told and tried again in the next. */
export function startLoop(services: Services, plan: LoopPlan): Loop {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const next = services.signals.next(plan.on ?? [], services.clock, plan.every, stopping.signal);
      try {
        await plan.round();
      } catch (error) {
        services.onFault(toSallyportError(toDatabaseError(error)), `loop ${plan.name}`);
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
