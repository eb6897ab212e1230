import type { SpendableMeter } from '../../../contracts/budget.ts';
import type { Spending } from '../../enforce/permit.ts';
import { MeteredGate, type GateUser } from '../metered-gate.ts';

interface Item {
  /** Bytes still to be paid. */
  left: number;
  readonly bytes: number;
  /** Undefined for octets of a body, which go as they are paid. */
  readonly whole: (() => void) | undefined;
}

/** Stands for heads: only its length counts. Heads are no larger, but are added up with their trailers. */
const filler = Buffer.alloc(131_072);

/** What one direction of a stream carries, in order: octets of the body as far as the budget goes, heads and trailers whole or not at all. */
export class MeteredItems implements GateUser {
  readonly #gate: MeteredGate;
  readonly #user: GateUser;
  readonly #waiting: Item[] = [];
  #stands = false;
  #closed = false;

  constructor(spending: Spending, meter: SpendableMeter, user: GateUser) {
    this.#user = user;
    this.#gate = new MeteredGate(spending, meter, this);
  }

  /** Something waits for budget; offer nothing that need not be until `ready`. */
  get blocked(): boolean {
    return this.#waiting.length > 0;
  }

  /** Bytes of octets, heads and trailers that went. */
  get passed(): number {
    const first = this.#waiting[0];
    return this.#gate.passed - (first?.whole === undefined ? 0 : first.bytes - first.left);
  }

  /** False when not all has passed: then wait for `ready`. */
  data(bytes: Buffer): boolean {
    return this.#offer(bytes, undefined);
  }

  /** Calls `then` when `bytes` are paid and all that came before has passed; at once, or with false later. */
  whole(bytes: number, then: () => void): boolean {
    if (bytes === 0 && !this.blocked) {
      then();
      return true;
    }
    return this.#offer(filler.subarray(0, bytes), then);
  }

  #offer(bytes: Buffer, whole: (() => void) | undefined): boolean {
    if (this.blocked) {
      this.#waiting.push({ left: bytes.length, bytes: bytes.length, whole });
      this.#gate.offer(bytes);
      return false;
    }
    const before = this.#gate.passed;
    this.#stands = whole !== undefined;
    const all = this.#gate.offer(bytes);
    this.#stands = false;
    if (all) whole?.();
    else this.#waiting.push({ left: bytes.length - (this.#gate.passed - before), bytes: bytes.length, whole });
    return all;
  }

  pass(bytes: Buffer): void {
    if (this.#stands) return;
    if (!this.blocked) return this.#user.pass(bytes);
    let rest = bytes;
    for (let item = this.#waiting[0]; item !== undefined && !this.#closed && (rest.length > 0 || item.left === 0); item = this.#waiting[0]) {
      const piece = rest.subarray(0, item.left);
      rest = rest.subarray(piece.length);
      item.left -= piece.length;
      if (item.left === 0) this.#waiting.shift();
      if (item.whole === undefined) {
        if (piece.length > 0) this.#user.pass(piece);
      } else if (item.left === 0) item.whole();
    }
  }

  ready(): void {
    this.#user.ready();
  }

  refused(meter: SpendableMeter): void {
    this.#user.refused(meter);
  }

  /** Nothing passes any more, and no event comes. What has passed stays known. */
  close(): void {
    this.#closed = true;
    this.#gate.close();
  }
}
