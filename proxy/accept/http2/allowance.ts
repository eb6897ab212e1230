export interface AllowanceLimits {
  readonly burst: number;
  readonly per_second: number;
}

/** How much a client may have of what costs us and brings it nothing: a token bucket. Pure; times in milliseconds. */
export class Allowance {
  readonly #limits: AllowanceLimits;
  #left: number;
  #at: number;

  constructor(limits: AllowanceLimits, now: number) {
    this.#limits = limits;
    this.#left = limits.burst;
    this.#at = now;
  }

  /** Takes `amount`; false once more was taken than there was. */
  take(amount: number, now: number): boolean {
    const { burst, per_second } = this.#limits;
    this.#left = Math.min(burst, this.#left + (now - this.#at) / 1000 * per_second) - amount;
    this.#at = now;
    return this.#left >= 0;
  }
}
