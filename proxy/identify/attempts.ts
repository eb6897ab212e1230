interface Bucket {
  tokens: number;
  at: number;
}

const burst = 20;
const perSecond = 1;
const remotesMax = 10_000;

/**
 * Failed attempts by remote address, as token buckets: 20 at once, then one a second. Whoever has the right credentials is never held
 * up by it; it bounds what guessing costs us and how many records it makes.
 */
export class FailedAttempts {
  readonly #buckets = new Map<string, Bucket>();
  readonly #monotonic: () => number;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Counts a failure. False when there were too many. */
  failed(remote: string): boolean {
    const now = this.#monotonic();
    const known = this.#buckets.get(remote);
    const tokens = known === undefined ? burst : Math.min(burst, known.tokens + (now - known.at) / 1000 * perSecond);
    this.#buckets.delete(remote);
    this.#buckets.set(remote, { tokens: Math.max(0, tokens - 1), at: now });
    // The one that failed least recently goes first; its bucket is the fullest.
    if (this.#buckets.size > remotesMax) this.#buckets.delete(this.#buckets.keys().next().value!);
    return tokens >= 1;
  }
}
