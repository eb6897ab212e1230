/** What is kept of a leaf: who signed it, and when it may be given to a new connection (milliseconds since 1970). */
export interface CachedContext<T> {
  readonly context: T;
  readonly signer_id: string;
  readonly from: number;
  readonly until: number;
}

/**
 * A run's contexts by host, least recently used first, with one bound for all runs. When it is full the run that has the most gives its
 * oldest: a run that floods soon has the most and then drives out its own alone, and no other falls below its fair share.
 */
export class ContextCache<T> {
  readonly #most: number;
  readonly #runs: Map<string, Map<string, CachedContext<T>>> = new Map();
  readonly #dropped: (context: T) => void;
  #size = 0;

  /** `dropped` is told of each context that is kept no more. */
  constructor(most: number, dropped: (context: T) => void) {
    this.#most = most;
    this.#dropped = dropped;
  }

  get size(): number {
    return this.#size;
  }

  get(runId: string, host: string, signerId: string, now: number): T | undefined {
    const hosts = this.#runs.get(runId);
    const found = hosts?.get(host);
    if (hosts === undefined || found === undefined) return undefined;
    if (found.signer_id !== signerId || now < found.from || now >= found.until) {
      this.#remove(runId, hosts, host);
      return undefined;
    }
    hosts.delete(host);
    hosts.set(host, found);
    this.#runs.delete(runId);
    this.#runs.set(runId, hosts);
    return found.context;
  }

  set(runId: string, host: string, entry: CachedContext<T>): void {
    const known = this.#runs.get(runId);
    if (known?.has(host) === true) this.#remove(runId, known, host);
    while (this.#size >= this.#most) this.#evict(runId);
    // Taken again: the run's last one may just have gone.
    const hosts = this.#runs.get(runId) ?? new Map<string, CachedContext<T>>();
    hosts.set(host, entry);
    this.#size++;
    this.#runs.delete(runId);
    this.#runs.set(runId, hosts);
  }

  /**
   * The run that asks gives its own when no other has more. Of others with as many, the one that was used longest ago gives. At most as
   * many runs as entries are looked at, once for each leaf that is minted.
   */
  #evict(asking: string): void {
    let largest = asking;
    let most = this.#runs.get(asking)?.size ?? 0;
    for (const [run, { size }] of this.#runs) {
      if (size <= most) continue;
      largest = run;
      most = size;
    }
    const hosts = this.#runs.get(largest);
    const [host] = hosts?.keys() ?? [];
    if (hosts !== undefined && host !== undefined) this.#remove(largest, hosts, host);
  }

  #remove(runId: string, hosts: Map<string, CachedContext<T>>, host: string): void {
    const entry = hosts.get(host);
    if (entry === undefined) return;
    hosts.delete(host);
    this.#size--;
    if (hosts.size === 0) this.#runs.delete(runId);
    this.#dropped(entry.context);
  }
}
