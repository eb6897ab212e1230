import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { Child, type ChildDescription } from './child.ts';
import type { ReadyReport } from './messages.ts';

/** The proxy workers of an installation, each on a slot of its own: its number, its journal, its lock. */
export class Workers {
  readonly #children: readonly Child[];
  #replacing = false;

  constructor(count: number, describe: (slot: number) => ChildDescription, clock: Clock) {
    this.#children = Array.from({ length: count }, (_, slot) => new Child(describe(slot), clock));
  }

  /** Rejects with the problem of the first that can't be had. */
  async start(): Promise<ReadyReport> {
    const [first] = await Promise.all(this.#children.map((child) => child.start()));
    return first!;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
  }

  /**
   * One after the other: what a worker has under way gets so many milliseconds, and the next one's turn comes when its successor is
   * ready. Stops at the first that doesn't get ready.
   */
  async replace(drainMs: number): Promise<number> {
    if (this.#replacing) throw new SallyportError('overloaded', 'The workers are being replaced already.', { next_steps: ['Wait until that is done.'] });
    this.#replacing = true;
    try {
      for (const child of this.#children) await child.replace(drainMs);
    } finally {
      this.#replacing = false;
    }
    return this.#children.length;
  }
}
