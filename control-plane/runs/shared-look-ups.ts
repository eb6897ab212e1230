import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../contracts/clock.ts';

interface Look<T> {
  /** Undefined until it has begun: who comes until then shares it. */
  at: number | undefined;
  readonly found: Promise<T>;
}

/**
 * One look-up for all who ask for the same at the same time. What is given was read after it was asked for, or is at most `maxAge`
 * milliseconds old. Of one key one look-up is under way and one more waits for it, until it is forgotten.
 */
export class SharedLookUps<T> {
  readonly #clock: Clock;
  readonly #lookUp: (key: string) => Promise<T>;
  readonly #last = new Map<string, Look<T>>();

  constructor(clock: Clock, lookUp: (key: string) => Promise<T>) {
    this.#clock = clock;
    this.#lookUp = lookUp;
  }

  get(key: string, maxAge = 0): Promise<T> {
    const last = this.#last.get(key);
    if (last !== undefined && (last.at === undefined || this.#clock.monotonic() - last.at < maxAge)) return last.found;
    const look: Look<T> = { at: undefined, found: this.#begin(key, last, () => { look.at = this.#clock.monotonic(); }) };
    this.#last.set(key, look);
    return look.found;
  }

  /** For whoever asked and will not again; others begin anew. */
  forget(key: string): void {
    this.#last.delete(key);
  }

  async #begin(key: string, before: Look<T> | undefined, begun: () => void): Promise<T> {
    await before?.found.catch(() => { /* Told to who asked for it. */ });
    // A signal wakes all who wait in one turn.
    await nextTurn();
    begun();
    return await this.#lookUp(key);
  }
}
