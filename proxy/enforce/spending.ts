import type { Clock, Timer } from '../../contracts/clock.ts';
import { spendableMeters, type Balances, type SpendableMeter, type Spent } from '../../contracts/budget.ts';
import type { Draw, DrawAnswer } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { newId } from '../../contracts/ids.ts';

export interface SpendingOptions {
  readonly run_id: string;
  readonly journal_id: string;
  readonly clock: Clock;
  /** `POST /data-plane/allowances`. */
  readonly draw: (draw: Draw) => Promise<DrawAnswer>;
  /** Units that came after the run's were returned have to be returned as well. */
  readonly late: (returned: Spent) => void;
}

interface Waiter {
  readonly units: number;
  /** Takes one unit when it is served; others only want to hear that there are some. */
  readonly takes: boolean;
  readonly resolve: (problem: SallyportError | undefined) => void;
  readonly timer: Timer;
}

interface MeterState {
  /** Units that may be spent without asking. */
  held: number;
  /** Below this more is drawn ahead. */
  low: number;
  /** What one draw asks for; grows while draws come fast. */
  slice: number;
  drawnAt: number;
  /** The budget had no more at this instant (monotonic); asked again only a little later. */
  exhaustedAt: number;
  remaining: number | null;
  limit: number | null;
  waiters: Waiter[];
}

/** A draw that is not answered within this leaves its waiters without: `control_plane_unreachable`. */
const waitMs = 5000;
const waitersMax = 4096;
/** How long an exhausted budget is believed to be, so that an agent which goes on asking does not make the control plane work. */
const exhaustedMs = 200;
const fastMs = 250;
const smallestSlice: Readonly<Record<SpendableMeter, number>> = { requests: 64, bytes_out: 1024 * 1024, bytes_in: 1024 * 1024 };
const largestSlice: Readonly<Record<SpendableMeter, number>> = { requests: 8192, bytes_out: 64 * 1024 * 1024, bytes_in: 64 * 1024 * 1024 };
const firstRetryMs = 100;
const longestRetryMs = 2000;

/**
 * What one worker holds of one run's budget and spends in memory. One draw is under way at a time and serves all who wait; it is
 * repeated under its own id until it is answered, so a lost answer loses no units.
 */
export class RunSpending {
  readonly #options: SpendingOptions;
  readonly #meters: Record<SpendableMeter, MeterState>;
  #epoch: number;
  #drawing: Draw | undefined;
  #retry: Timer | undefined;
  #retryMs = firstRetryMs;
  #closed: SallyportError | undefined;
  /** A draw is under way and someone has waited for it in vain: until it is answered nobody else need wait. */
  #silent = false;

  constructor(options: SpendingOptions, epoch: number) {
    this.#options = options;
    this.#epoch = epoch;
    this.#meters = { requests: fresh('requests'), bytes_out: fresh('bytes_out'), bytes_in: fresh('bytes_in') };
  }

  /** A draw whose answer is not known yet; units may be ours without our knowing. */
  get unsettled(): boolean { return this.#drawing !== undefined; }

  take(meter: SpendableMeter, units: number): number {
    const state = this.#meters[meter];
    const taken = Math.max(0, Math.min(units, state.held));
    state.held -= taken;
    if (state.held < state.low) this.#ahead();
    return taken;
  }

  giveBack(meter: SpendableMeter, units: number): void {
    this.#meters[meter].held += units;
    this.#serve(meter);
  }

  /** Takes one request; undefined when it is taken, otherwise why not. Asks the control plane only when none is held. */
  reserveRequest(): SallyportError | undefined | Promise<SallyportError | undefined> {
    return this.take('requests', 1) === 1 ? undefined : this.#wait('requests', 1, true);
  }

  /** Undefined when `take` may succeed again, otherwise why it will not. */
  async more(meter: SpendableMeter, units: number): Promise<SallyportError | undefined> {
    return this.#meters[meter].held > 0 ? undefined : this.#wait(meter, units, false);
  }

  /** The run's limits may have changed: what was exhausted may not be any more. */
  update(epoch: number): void {
    this.#epoch = epoch;
    for (const meter of spendableMeters) this.#meters[meter].exhaustedAt = Number.NEGATIVE_INFINITY;
  }

  /** The control plane can be asked again. */
  wake(): void {
    if (this.#retry === undefined) return;
    this.#retry.cancel();
    this.#retry = undefined;
    this.#retryMs = firstRetryMs;
    void this.#send();
  }

  /** Units of another incarnation of the database are void: it has never heard of them. */
  forget(): void {
    for (const meter of spendableMeters) this.#meters[meter].held = 0;
  }

  /** Nothing more is drawn, and whoever waits is refused. */
  close(why: SallyportError): void {
    this.#closed = why;
    for (const meter of spendableMeters) this.#refuse(meter, why);
  }

  /** What is held and can be returned, once nothing spends any more; it is then no longer ours. */
  takeAll(): Spent {
    const all: Spent = {};
    for (const meter of spendableMeters) {
      const { held } = this.#meters[meter];
      if (held > 0) all[meter] = held;
      this.#meters[meter].held = 0;
    }
    return all;
  }

  /** No longer asks what a draw brought. */
  abandon(): void {
    this.#retry?.cancel();
  }

  #wait(meter: SpendableMeter, units: number, takes: boolean): Promise<SallyportError | undefined> {
    const state = this.#meters[meter];
    if (this.#closed !== undefined) return Promise.resolve(this.#closed);
    if (this.#options.clock.monotonic() - state.exhaustedAt < exhaustedMs) return Promise.resolve(exhausted(meter, state.limit));
    if (this.#silent) return Promise.resolve(unanswered(meter));
    if (state.waiters.length >= waitersMax) return Promise.resolve(new SallyportError('overloaded', `More than ${waitersMax} requests of this run wait for its budget.`, { retry_after: 1 }));
    return new Promise((resolve) => {
      const waiter: Waiter = {
        units, takes, resolve,
        timer: this.#options.clock.setTimeout(() => {
          this.#silent = true;
          state.waiters = state.waiters.filter((other) => other !== waiter);
          resolve(unanswered(meter));
        }, waitMs),
      };
      state.waiters.push(waiter);
      this.#start();
    });
  }

  #ahead(): void {
    if (this.#drawing === undefined && this.#closed === undefined) this.#start();
  }

  /** One draw for all meters of which more is needed or soon will be. */
  #start(): void {
    if (this.#drawing !== undefined || this.#closed !== undefined) return;
    const { clock, journal_id, run_id } = this.#options;
    const wanted: Spent = {};
    let any = false;
    for (const meter of spendableMeters) {
      const state = this.#meters[meter];
      if (clock.monotonic() - state.exhaustedAt < exhaustedMs) continue;
      const needed = state.waiters.reduce((sum, { units }) => sum + units, 0);
      // The first draw of a run asks for all meters: its first exchange needs them all.
      if (needed === 0 && state.held >= state.low && state.drawnAt !== Number.NEGATIVE_INFINITY) continue;
      // Near the end of a budget the control plane's own slice is the right one: others may need the rest.
      const slice = state.remaining === null ? state.slice : Math.min(state.slice, Math.floor(state.remaining / 4));
      wanted[meter] = Math.max(1, needed, slice);
      any = true;
    }
    if (!any) return;
    this.#drawing = { draw_id: newId('draw', clock.now()), journal_id, run_id, epoch: this.#epoch, wanted };
    void this.#send();
  }

  async #send(): Promise<void> {
    const drawing = this.#drawing!;
    let answer: DrawAnswer;
    try {
      answer = await this.#options.draw(drawing);
    } catch (error) {
      if (error instanceof SallyportError && error.entry.status < 500) {
        this.#drawing = undefined;
        this.#silent = false;
        for (const meter of spendableMeters) if (drawing.wanted[meter] !== undefined) this.#refuse(meter, error);
        return;
      }
      this.#retry = this.#options.clock.setTimeout(() => {
        this.#retry = undefined;
        void this.#send();
      }, this.#retryMs, { background: true });
      this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
      return;
    }
    this.#retryMs = firstRetryMs;
    this.#drawing = undefined;
    this.#silent = false;
    for (const meter of spendableMeters) if (drawing.wanted[meter] !== undefined) this.#granted(meter, drawing.wanted[meter], answer);
    if (this.#closed === undefined) {
      if (spendableMeters.some((meter) => this.#meters[meter].waiters.length > 0)) this.#start();
      return;
    }
    const late = this.takeAll();
    if (Object.keys(late).length > 0) this.#options.late(late);
  }

  #granted(meter: SpendableMeter, wanted: number, answer: DrawAnswer): void {
    const state = this.#meters[meter];
    const granted = answer.granted[meter] ?? 0;
    const now = this.#options.clock.monotonic();
    const balance: Balances[SpendableMeter] = answer.balances[meter];
    state.remaining = balance?.remaining ?? null;
    state.limit = balance?.limit ?? null;
    state.held += granted;
    // Half of what came last; none when there is no more to come.
    state.low = granted < wanted ? 0 : Math.floor(granted / 2);
    const since = now - state.drawnAt;
    state.drawnAt = now;
    if (since < fastMs) state.slice = Math.min(state.slice * 2, largestSlice[meter]);
    else if (since > fastMs * 8) state.slice = Math.max(state.slice / 2, smallestSlice[meter]);
    this.#serve(meter);
    if (granted > 0 && !answer.exhausted.includes(meter)) return;
    state.exhaustedAt = now;
    this.#refuse(meter, exhausted(meter, state.limit));
  }

  #serve(meter: SpendableMeter): void {
    const state = this.#meters[meter];
    while (state.held > 0 && state.waiters.length > 0) {
      const waiter = state.waiters.shift()!;
      if (waiter.takes) state.held--;
      waiter.timer.cancel();
      waiter.resolve(undefined);
    }
  }

  #refuse(meter: SpendableMeter, why: SallyportError): void {
    for (const waiter of this.#meters[meter].waiters.splice(0)) {
      waiter.timer.cancel();
      waiter.resolve(why);
    }
  }
}

function fresh(meter: SpendableMeter): MeterState {
  return {
    held: 0, low: 0, slice: smallestSlice[meter], drawnAt: Number.NEGATIVE_INFINITY, exhaustedAt: Number.NEGATIVE_INFINITY,
    remaining: 0, limit: null, waiters: [],
  };
}

function unanswered(meter: SpendableMeter): SallyportError {
  return new SallyportError('control_plane_unreachable', `The control plane has not said for ${waitMs / 1000} s whether the budget has more ${meter}.`, { retry_after: 1 });
}

function exhausted(meter: SpendableMeter, limit: number | null): SallyportError {
  const words = { requests: 'requests', bytes_out: 'bytes to send', bytes_in: 'bytes to receive' }[meter];
  return new SallyportError('budget_exhausted', `The run's budget of ${words} is used up${limit === null ? '' : ` (limit ${limit})`}.`);
}
