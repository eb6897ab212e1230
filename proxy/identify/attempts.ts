interface Bucket {
  tokens: number;
  at: number;
}

export interface AttemptLimits {
  /** At once. */
  readonly burst: number;
  readonly perSecond: number;
}

/** Of credentials, by remote address: it bounds what guessing costs us and how many records it makes. */
const credentialLimits: AttemptLimits = { burst: 20, perSecond: 1 };
/** Of requests that are refused, by run: a refusal costs no budget, and each makes a record that lies on the disk of all runs. */
export const refusalLimits: AttemptLimits = { burst: 1000, perSecond: 100 };
const keysMax = 10_000;

/** Failed attempts by whoever makes them, as token buckets. Nobody who does not fail is held up by it. */
export class FailedAttempts {
  readonly #buckets = new Map<string, Bucket>();
  readonly #monotonic: () => number;
  readonly #limits: AttemptLimits;

  constructor(monotonic: () => number, limits: AttemptLimits = credentialLimits) {
    this.#monotonic = monotonic;
    this.#limits = limits;
  }

  /** Counts a failure. False when there were too many; that one then takes nothing, so that the rate is kept however fast they come. */
  failed(key: string): boolean {
    const now = this.#monotonic();
    const tokens = this.#tokens(key, now);
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    // The one that failed least recently goes first; its bucket is the fullest.
    if (this.#buckets.size > keysMax) this.#buckets.delete(this.#buckets.keys().next().value!);
    return tokens >= 1;
  }

  /** Whether so many further failures would be too many; counts nothing. */
  wouldBeTooMany(key: string, failures: number): boolean {
    return this.#tokens(key, this.#monotonic()) < failures;
  }

  #tokens(key: string, now: number): number {
    const { burst, perSecond } = this.#limits;
    const known = this.#buckets.get(key);
    return known === undefined ? burst : Math.min(burst, known.tokens + (now - known.at) / 1000 * perSecond);
  }
}
