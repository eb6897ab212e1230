import type { Clock, Timer } from '../../contracts/clock.ts';
import { spendableMeters, type SpendableMeter, type Spent } from '../../contracts/budget.ts';
import type { Draw, DrawAnswer, Recalls, Return } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { newId } from '../../contracts/ids.ts';
import { MeterAccount, type Demand } from './meter-account.ts';
import { RepeatedCall } from './repeated-call.ts';

export interface SpendingOptions {
  readonly run_id: string;
  readonly journal_id: string;
  readonly clock: Clock;
  /** `POST /data-plane/allowances`. */
  readonly draw: (draw: Draw) => Promise<DrawAnswer>;
  /** Units that came after the run's were returned have to be returned as well. */
  readonly late: (returned: Spent) => void;
  /** `POST /data-plane/returns`. */
  readonly giveUp: (answer: Return) => Promise<unknown>;
}

/** Meters of the draw that is under way. */
type Demands = Partial<Record<SpendableMeter, Demand>>;

/** Pauses between draws while others are asked for what they hold idle: an answer takes some 15 ms, of one that is silent 2 s. */
const firstPauseMs = 20;
const longestPauseMs = 250;

/**
 * What one worker holds of one run's budget and spends in memory. One draw is under way at a time and serves all who wait; it is
 * repeated under its own id until it is answered, so a lost answer loses no units.
 */
export class RunSpending {
  readonly #options: SpendingOptions;
  readonly #meters: Readonly<Record<SpendableMeter, MeterAccount>>;
  #epoch: number;
  readonly #drawing: RepeatedCall<Draw, DrawAnswer>;
  readonly #returning: RepeatedCall<Return, unknown>;
  /** What the draw under way is for. */
  #demands: Demands = {};
  #pause: Timer | undefined;
  #pauseMs = firstPauseMs;
  #closed: SallyportError | undefined;
  /** A draw is under way and someone has waited for it in vain: until it is answered nobody else need wait. */
  #silent = false;
  /** What the control plane has asked back and has not been answered. */
  #recalls: Recalls = {};
  /** The last that were answered: of one that is told again the control plane would not take anything any more. */
  #answered: Recalls = {};
  #answering = false;
  /** Units were given up, and were refused: the control plane may have taken them by an earlier try. */
  #doubtful = false;

  constructor(options: SpendingOptions, epoch: number) {
    this.#options = options;
    this.#epoch = epoch;
    const account = (meter: SpendableMeter): MeterAccount => new MeterAccount(meter, options.clock);
    this.#meters = { requests: account('requests'), bytes_out: account('bytes_out'), bytes_in: account('bytes_in') };
    this.#drawing = new RepeatedCall(options.clock, options.draw, (_draw, answer) => this.#drawn(answer));
    this.#returning = new RepeatedCall(options.clock, options.giveUp, ({ returned }, answer) => {
      this.#doubtful ||= answer instanceof SallyportError && Object.keys(returned).length > 0;
      this.#goOn();
    });
  }

  /** A call whose answer is not known yet; units may be ours without our knowing, or not have been given back. */
  get unsettled(): boolean { return this.#drawing.pending || this.#returning.pending || this.#doubtful; }

  take(meter: SpendableMeter, units: number): number {
    const account = this.#meters[meter];
    const taken = account.take(units);
    if (account.low) this.#start();
    return taken;
  }

  giveBack(meter: SpendableMeter, units: number): void {
    this.#meters[meter].give(units);
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
    for (const meter of spendableMeters) this.#meters[meter].reconsider();
  }

  /** The control plane can be asked again. */
  wake(): void {
    this.#drawing.wake();
    this.#returning.wake();
  }

  /** Units of another incarnation of the database are void: it has never heard of them. */
  forget(): void {
    this.#recalls = {};
    this.#answered = {};
    for (const meter of spendableMeters) this.#meters[meter].takeIdle();
  }

  /** The control plane asks for what is held and not waited for. Each number is answered once, also with nothing. */
  recall(recalls: Recalls): void {
    for (const meter of spendableMeters) {
      const asked = recalls[meter] ?? 0;
      if (asked > (this.#answered[meter] ?? 0)) this.#recalls = { ...this.#recalls, [meter]: asked };
    }
    this.#answerSoon();
  }

  /** Nothing more is drawn, and whoever waits is refused. */
  close(why: SallyportError): void {
    this.#closed = why;
    this.#pause?.cancel();
    for (const meter of spendableMeters) this.#meters[meter].refuse(why);
  }

  /** What is held and can be returned, once nothing spends any more; it is then no longer ours. */
  takeAll(): Spent {
    return this.#takeIdle(spendableMeters);
  }

  /** No longer asks what a draw brought, or whether a return has come. */
  abandon(): void {
    this.#drawing.abandon();
    this.#returning.abandon();
  }

  #wait(meter: SpendableMeter, units: number, takes: boolean): Promise<SallyportError | undefined> {
    const account = this.#meters[meter];
    const why = this.#closed ?? account.believed ?? (this.#silent ? account.unanswered() : undefined);
    if (why !== undefined) return Promise.resolve(why);
    const served = account.wait(units, takes, () => {
      if (account.recalling && !this.#drawing.failing) return account.exhausted();
      this.#silent = this.#drawing.pending;
      return account.unanswered();
    });
    this.#start();
    return served;
  }

  /** One draw for all meters of which more is needed or soon will be; after what was asked back has gone. */
  #start(): void {
    if (this.#drawing.pending || this.#closed !== undefined || this.#answering) return;
    const wanted: Spent = {};
    const waiting: Spent = {};
    this.#demands = {};
    for (const meter of spendableMeters) {
      const demand = this.#meters[meter].demand;
      if (demand === undefined) continue;
      this.#demands[meter] = demand;
      wanted[meter] = demand.wanted;
      if (demand.waiting > 0) waiting[meter] = demand.waiting;
    }
    if (Object.keys(wanted).length === 0) return;
    const { clock, journal_id, run_id } = this.#options;
    this.#drawing.start({ draw_id: newId('draw', clock.now()), journal_id, run_id, epoch: this.#epoch, wanted, waiting });
  }

  #drawn(answer: DrawAnswer | SallyportError): void {
    this.#silent = false;
    for (const meter of spendableMeters) {
      const demand = this.#demands[meter];
      if (demand === undefined) continue;
      if (answer instanceof SallyportError) this.#meters[meter].refuse(answer);
      else this.#meters[meter].answered(demand, answer);
    }
    if (this.#closed !== undefined) {
      const late = this.takeAll();
      if (Object.keys(late).length > 0) this.#options.late(late);
      return;
    }
    this.#drawLater();
    this.#goOn();
  }

  #goOn(): void {
    this.#answerSoon();
    if (spendableMeters.some((meter) => this.#meters[meter].waits)) this.#start();
  }

  /** Whoever waits for units that are being recalled draws again after a pause. */
  #drawLater(): void {
    const accounts = spendableMeters.map((meter) => this.#meters[meter]).filter(({ recalling }) => recalling);
    if (accounts.length === 0) this.#pauseMs = firstPauseMs;
    for (const account of accounts) account.paused = true;
    if (accounts.length === 0 || this.#pause !== undefined) return;
    this.#pause = this.#options.clock.setTimeout(() => {
      this.#pause = undefined;
      for (const meter of spendableMeters) this.#meters[meter].paused = false;
      this.#goOn();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs);
  }

  /**
   * Not before the answer of a draw under way, whose units may be on their way here; and in the next turn of the loop: whoever has just
   * been served has taken its units by then.
   */
  #answerSoon(): void {
    if (this.#answering || this.#drawing.pending || this.#returning.pending || this.#closed !== undefined || Object.keys(this.#recalls).length === 0) return;
    this.#answering = true;
    setImmediate(() => {
      this.#answering = false;
      if (this.#closed !== undefined) return;
      const recalls = this.#recalls;
      this.#recalls = {};
      this.#answered = { ...this.#answered, ...recalls };
      const { journal_id, run_id } = this.#options;
      const returned = this.#takeIdle(spendableMeters.filter((meter) => recalls[meter] !== undefined));
      this.#returning.start({ journal_id, run_id, returned, recalls });
      this.#goOn();
    });
  }

  #takeIdle(meters: readonly SpendableMeter[]): Spent {
    const idle: Spent = {};
    for (const meter of meters) {
      const units = this.#meters[meter].takeIdle();
      if (units > 0) idle[meter] = units;
    }
    return idle;
  }
}
