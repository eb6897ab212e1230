import type { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds; generous, because a shared two-core machine stalls. It is the price of a failure, never of a success. */
const usualDeadline = 30_000;

/** Rejects with what did not come once the deadline is over. */
export async function within<T>(what: string, promise: Promise<T>, deadline: number = usualDeadline): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Did not come within ${deadline} ms: ${what}`)), deadline);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The arguments of the next event `name`. */
export function event(what: string, emitter: EventEmitter, name: string, deadline: number = usualDeadline): Promise<unknown[]> {
  return within(what, new Promise((resolve) => { emitter.once(name, (...values: unknown[]) => resolve(values)); }), deadline);
}

/**
 * For facts that announce themselves by no event (a file, another process): asks until `condition` gives something other than
 * `undefined` or `false`, and gives that. A condition that throws has not come yet; its last error is told.
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  deadline: number = usualDeadline,
): Promise<T> {
  const end = performance.now() + deadline;
  let step = 2;
  for (;;) {
    let problem: unknown;
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      problem = error;
    }
    if (performance.now() >= end) throw new Error(`Did not come within ${deadline} ms: ${what}`, { cause: problem });
    await pause(step);
    step = Math.min(step * 2, 50);
  }
}
