import type { Clock } from '../contracts/clock.ts';

/**
 * What has just been committed here: a hint, after which whoever waits reads the database. `run:<run_id>` says that something of
 * that run moved. Nothing depends on a signal being heard: every wait also ends by time, since another replica's signals are not.
 */
export type Signal = 'runs' | 'entries' | 'sequenced' | 'sealed' | 'acknowledged' | 'run-ended' | `run:${string}`;

export class Signals {
  readonly #waiting = new Map<Signal, Set<() => void>>();

  emit(signal: Signal): void {
    for (const wake of this.#waiting.get(signal) ?? []) wake();
  }

  /**
   * Starts to listen before the caller looks, so that nothing falls between the look and the wait. `over` settles at the first
   * of the signals, after `milliseconds`, or when `until` aborts, and then costs nothing more; `cancel` gives it up.
   */
  next(signals: readonly Signal[], clock: Clock, milliseconds: number, until?: AbortSignal): Wait {
    let wake = (): void => { /* Replaced at once: a promise's executor runs at its making. */ };
    const over = new Promise<void>((resolve) => {
      const timer = clock.setTimeout(() => wake(), milliseconds);
      wake = () => {
        timer.cancel();
        until?.removeEventListener('abort', wake);
        for (const signal of signals) this.#forget(signal, wake);
        resolve();
      };
      for (const signal of signals) this.#remember(signal, wake);
      if (until?.aborted === true) wake();
      else until?.addEventListener('abort', wake, { once: true });
    });
    return { over, cancel: () => wake() };
  }

  #remember(signal: Signal, wake: () => void): void {
    const wakes = this.#waiting.get(signal);
    if (wakes === undefined) this.#waiting.set(signal, new Set([wake]));
    else wakes.add(wake);
  }

  #forget(signal: Signal, wake: () => void): void {
    const wakes = this.#waiting.get(signal);
    wakes?.delete(wake);
    if (wakes?.size === 0) this.#waiting.delete(signal);
  }
}

export interface Wait {
  readonly over: Promise<void>;
  cancel(): void;
}
