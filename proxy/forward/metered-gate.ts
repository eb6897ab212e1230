import type { SpendableMeter } from '../../contracts/budget.ts';
import type { Spending } from '../enforce/permit.ts';

export interface GateUser {
  /** Bytes that are paid for, in order; borrowed for the call. */
  pass(bytes: Buffer): void;
  /** All that was held back has passed. */
  ready(): void;
  /** The budget refuses: nothing passes any more. */
  refused(meter: SpendableMeter): void;
}

/** Lets bytes through as far as the budget goes, to the byte. Holds back one offer at most. */
export class MeteredGate {
  readonly #spending: Spending;
  readonly #meter: SpendableMeter;
  /** Who has the bytes now: an exchange may become a tunnel. Set before the first offer. */
  user: GateUser | undefined;
  #held: Buffer | undefined;
  #closed = false;
  /** Bytes that passed. */
  passed = 0;

  constructor(spending: Spending, meter: SpendableMeter, user?: GateUser) {
    this.#spending = spending;
    this.#meter = meter;
    this.user = user;
  }

  /** Something waits for budget; offer nothing until `ready`. */
  get blocked(): boolean {
    return this.#held !== undefined;
  }

  /** False when not all has passed: then wait for `ready`. */
  offer(bytes: Buffer): boolean {
    if (this.#closed) return true;
    if (this.#held !== undefined) {
      this.#held = Buffer.concat([this.#held, bytes]);
      return false;
    }
    const granted = this.#spending.take(this.#meter, bytes.length);
    if (granted < bytes.length) this.#held = Buffer.from(bytes.subarray(granted));
    this.passed += granted;
    if (granted > 0) this.user!.pass(granted === bytes.length ? bytes : bytes.subarray(0, granted));
    if (this.#held === undefined) return true;
    void this.#wait();
    return false;
  }

  async #wait(): Promise<void> {
    while (this.#held !== undefined && !this.#closed) {
      const more = await this.#spending.more(this.#meter, this.#held.length).catch(() => false);
      if (this.#closed) return;
      if (!more) {
        this.close();
        return this.user!.refused(this.#meter);
      }
      const held = this.#held;
      const granted = this.#spending.take(this.#meter, held.length);
      this.#held = granted < held.length ? held.subarray(granted) : undefined;
      this.passed += granted;
      if (granted > 0) this.user!.pass(held.subarray(0, granted));
    }
    if (!this.#closed) this.user!.ready();
  }

  /** Nothing passes any more, and no event comes. */
  close(): void {
    this.#closed = true;
    this.#held = undefined;
  }
}
