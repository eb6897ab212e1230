import type { Source } from '../exchange.ts';
import type { AcceptLimits } from './limits.ts';

/** Counts open client connections of one worker, over all its listeners. */
export class ConnectionCaps {
  readonly #limits: AcceptLimits;
  /** By run where the listener is the run, else by remote address: nobody has said yet which run it is. */
  readonly #bySource = new Map<string, number>();
  #all = 0;

  constructor(limits: AcceptLimits) {
    this.#limits = limits;
  }

  /** Of all listeners together. */
  get open(): number { return this.#all; }

  /** Counts one more, or says which cap it would break. */
  enter(source: Source): 'overloaded' | 'rate_limited' | undefined {
    if (this.#all >= this.#limits.connections) return 'overloaded';
    const key = keyOf(source);
    const open = this.#bySource.get(key) ?? 0;
    if (open >= (source.kind === 'run' ? this.#limits.connections_per_run : this.#limits.connections_per_address)) return 'rate_limited';
    this.#bySource.set(key, open + 1);
    this.#all++;
    return undefined;
  }

  leave(source: Source): void {
    this.#all--;
    const key = keyOf(source);
    const open = (this.#bySource.get(key) ?? 1) - 1;
    if (open === 0) this.#bySource.delete(key);
    else this.#bySource.set(key, open);
  }
}

function keyOf(source: Source): string {
  return source.kind === 'run' ? source.run_id : source.remote;
}
