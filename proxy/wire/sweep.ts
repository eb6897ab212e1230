import type { Clock, Timer } from '../../contracts/clock.ts';
import { nowhere, Roster, type Enlisted } from '../roster.ts';

/** Something with a deadline that moves often. `due` is in the time of `Sweep.now`; `Infinity` is none for now. */
export interface Watched extends Enlisted {
  readonly due: number;
  /** Called at every look while overdue, so it must move `due` or remove itself. */
  expired(): void;
}

/** Milliseconds between looks; a time-out is up to two of them late, never early. */
const interval = 250;

/**
 * Deadlines of many connections by one timer: moving a deadline costs an assignment, where a timer of its own would cost a
 * microsecond on each request.
 */
export class Sweep {
  readonly #clock: Clock;
  readonly #watched = new Roster<Watched>();
  #timer: Timer | undefined;
  #now: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#now = clock.monotonic();
  }

  /** Monotonic milliseconds, at most one interval old. While nothing is watched nobody looks, and the first deadline is made from it. */
  get now(): number {
    if (this.#timer === undefined) this.#now = this.#clock.monotonic();
    return this.#now;
  }

  add(watched: Watched): void {
    const { now } = this;
    this.#watched.add(watched);
    if (this.#timer === undefined) this.#arm(now);
  }

  remove(watched: Watched): void {
    this.#watched.delete(watched);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const watched of this.#watched.all()) this.#watched.delete(watched);
  }

  #arm(now: number): void {
    this.#now = now;
    this.#timer = this.#clock.setTimeout(() => {
      // Due at the look before: after a stall of the process, what has arrived meanwhile is read before anything counts as late.
      const before = this.#now;
      this.#now = this.#clock.monotonic();
      for (const watched of this.#watched.all()) if (watched.due <= before && watched.place !== nowhere) watched.expired();
      this.#timer = undefined;
      if (this.#watched.size > 0) this.#arm(this.#now);
    }, interval, { background: true });
  }
}
