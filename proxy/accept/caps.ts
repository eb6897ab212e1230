import type { AcceptLimits } from './limits.ts';

/** Counts open client connections of one worker, over all its listeners. */
export class ConnectionCaps {
  readonly #limits: AcceptLimits;
  readonly #byRun = new Map<string, number>();
  #all = 0;

  constructor(limits: AcceptLimits) {
    this.#limits = limits;
  }

  /** Counts one more, or says which cap it would break. `run_id` only where the listener is the run. */
  enter(run_id: string | undefined): 'overloaded' | 'rate_limited' | undefined {
    if (this.#all >= this.#limits.connections) return 'overloaded';
    if (run_id !== undefined) {
      const open = this.#byRun.get(run_id) ?? 0;
      if (open >= this.#limits.connections_per_run) return 'rate_limited';
      this.#byRun.set(run_id, open + 1);
    }
    this.#all++;
    return undefined;
  }

  leave(run_id: string | undefined): void {
    this.#all--;
    if (run_id === undefined) return;
    const open = (this.#byRun.get(run_id) ?? 1) - 1;
    if (open === 0) this.#byRun.delete(run_id);
    else this.#byRun.set(run_id, open);
  }
}
