import type { Balances, SpendableMeter } from '../../contracts/budget.ts';
import type { Clock, Timer } from '../../contracts/clock.ts';
import type { DrawAnswer } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';

interface Waiter {
  readonly units: number;
  /** Takes one unit when it is served; others only want to hear that there are some. */
  readonly takes: boolean;
  readonly resolve: (problem: SallyportError | undefined) => void;
  readonly timer: Timer;
}

/** What a draw asks for: at least what is waited for. */
export interface Demand {
  readonly wanted: number;
  readonly waiting: number;
}

/** A draw that is not answered within this leaves its waiters without: `control_plane_unreachable`. */
const waitMs = 5000;
const waitersMax = 4096;
/** How long an exhausted budget is believed to be, so that an agent which goes on asking does not make the control plane work. */
const exhaustedMs = 200;
const fastMs = 250;
const smallestSlice: Readonly<Record<SpendableMeter, number>> = { requests: 64, bytes_out: 1024 * 1024, bytes_in: 1024 * 1024 };
const largestSlice: Readonly<Record<SpendableMeter, number>> = { requests: 8192, bytes_out: 64 * 1024 * 1024, bytes_in: 64 * 1024 * 1024 };

/** One meter of one run at one worker: what is held idle, who waits for more, and how much a draw asks for. */
export class MeterAccount {
  readonly #meter: SpendableMeter;
  readonly #clock: Clock;
  /** Units that may be spent without asking; while somebody waits there are none. */
  #held = 0;
  /** Below this more is drawn ahead. */
  #low = 0;
  /** What one draw asks for; grows while draws come fast. */
  #slice: number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  /** The budget had no more at this instant (monotonic); asked again only a little later. */
  #exhaustedAt = Number.NEGATIVE_INFINITY;
  #remaining: number | null = 0;
  #limit: number | null = null;
  #waiters: Waiter[] = [];
  /** Others are being asked for what they hold idle; nothing is drawn until the pause is over. */
  recalling = false;
  paused = false;

  constructor(meter: SpendableMeter, clock: Clock) {
    this.#meter = meter;
    this.#clock = clock;
    this.#slice = smallestSlice[meter];
  }

  get held(): number { return this.#held; }
  get waits(): boolean { return this.#waiters.length > 0; }
  get low(): boolean { return this.#held < this.#low; }

  take(units: number): number {
    const taken = Math.max(0, Math.min(units, this.#held));
    this.#held -= taken;
    return taken;
  }

  give(units: number): void {
    this.#held += units;
    while (this.#held > 0 && this.#waiters.length > 0) {
      const waiter = this.#waiters.shift()!;
      if (waiter.takes) this.#held--;
      waiter.timer.cancel();
      waiter.resolve(undefined);
    }
  }

  /** All that nobody waits for; more is then drawn only for somebody who does. */
  takeIdle(): number {
    const { held } = this;
    this.#held = 0;
    this.#low = 0;
    return held;
  }

  /** Resolves when there are units, or with why there are none; `overdue` says it when no answer came in time. */
  wait(units: number, takes: boolean, overdue: () => SallyportError): Promise<SallyportError | undefined> {
    if (this.#waiters.length >= waitersMax) {
      return Promise.resolve(new SallyportError('overloaded', `More than ${waitersMax} requests of this run wait for its budget.`, { retry_after: 1 }));
    }
    return new Promise((resolve) => {
      const waiter: Waiter = {
        units, takes, resolve,
        timer: this.#clock.setTimeout(() => {
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          resolve(overdue());
        }, waitMs),
      };
      this.#waiters.push(waiter);
    });
  }

  refuse(why: SallyportError): void {
    for (const waiter of this.#waiters.splice(0)) {
      waiter.timer.cancel();
      waiter.resolve(why);
    }
  }

  /** Why there is nothing to wait for: the budget was used up a moment ago. */
  get believed(): SallyportError | undefined {
    return this.#clock.monotonic() - this.#exhaustedAt < exhaustedMs ? this.exhausted() : undefined;
  }

  /** The limit may have changed. */
  reconsider(): void {
    this.#exhaustedAt = Number.NEGATIVE_INFINITY;
  }

  /** What the next draw should ask for; undefined when it need not ask. */
  get demand(): Demand | undefined {
    if (this.paused || this.believed !== undefined) return undefined;
    const waiting = this.#waiters.reduce((sum, { units }) => sum + units, 0);
    // The first draw of a run asks for all meters: its first exchange needs them all.
    if (waiting === 0 && !this.low && this.#drawnAt !== Number.NEGATIVE_INFINITY) return undefined;
    // Near the end of a budget the control plane's own slice is the right one: others may need the rest.
    const slice = this.#remaining === null ? this.#slice : Math.min(this.#slice, Math.floor(this.#remaining / 4));
    return { wanted: Math.max(1, waiting, slice), waiting };
  }

  answered({ wanted, waiting }: Demand, answer: DrawAnswer): void {
    const granted = answer.granted[this.#meter] ?? 0;
    const now = this.#clock.monotonic();
    const balance: Balances[SpendableMeter] = answer.balances[this.#meter];
    this.#remaining = balance?.remaining ?? null;
    this.#limit = balance?.limit ?? null;
    // Half of what came last; none when there is no more to come.
    this.#low = granted < wanted ? 0 : Math.floor(granted / 2);
    const since = now - this.#drawnAt;
    this.#drawnAt = now;
    // Whoever waits says that it was too little, however long the answer took: it may stand behind an ingest.
    if (granted > 0 && (since < fastMs || this.waits)) this.#slice = Math.min(this.#slice * 2, largestSlice[this.#meter]);
    else if (since > fastMs * 8) this.#slice = Math.max(this.#slice / 2, smallestSlice[this.#meter]);
    this.recalling = answer.recalling?.includes(this.#meter) === true;
    this.give(granted);
    // What nobody waited for was not asked back from others, so that there is none of it says nothing.
    if (this.recalling || granted >= waiting) return;
    this.#exhaustedAt = now;
    this.refuse(this.exhausted());
  }

  unanswered(): SallyportError {
    return new SallyportError('control_plane_unreachable', `The control plane has not said for ${waitMs / 1000} s whether the budget has more ${this.#meter}.`, { retry_after: 1 });
  }

  exhausted(): SallyportError {
    const words = { requests: 'requests', bytes_out: 'bytes to send', bytes_in: 'bytes to receive' }[this.#meter];
    return new SallyportError('budget_exhausted', `The run's budget of ${words} is used up${this.#limit === null ? '' : ` (limit ${this.#limit})`}.`);
  }
}
