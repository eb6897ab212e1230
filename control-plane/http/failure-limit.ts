import type { Clock } from '../../contracts/clock.ts';

/** Failures in one window after which an address has to wait for the next one. */
const perWindow = 20;
const windowMs = 10_000;
/** Addresses remembered; the oldest is forgotten beyond it. */
const maxAddresses = 10_000;

/** Counts failed authentications by address. */
export class FailureLimit {
  readonly seconds = windowMs / 1000;
  readonly #clock: Clock;
  readonly #failures = new Map<string, { count: number; readonly since: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  mayTry(address: string): boolean {
    return (this.#current(address)?.count ?? 0) < perWindow;
  }

  failed(address: string): void {
    const entry = this.#current(address);
    if (entry !== undefined) {
      entry.count++;
      return;
    }
    const [oldest] = this.#failures.keys();
    if (this.#failures.size >= maxAddresses && oldest !== undefined) this.#failures.delete(oldest);
    this.#failures.set(address, { count: 1, since: this.#clock.monotonic() });
  }

  #current(address: string): { count: number } | undefined {
    const entry = this.#failures.get(address);
    if (entry === undefined) return undefined;
    if (this.#clock.monotonic() - entry.since < windowMs) return entry;
    this.#failures.delete(address);
    return undefined;
  }
}
