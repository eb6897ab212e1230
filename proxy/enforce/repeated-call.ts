import type { Clock, Timer } from '../../contracts/clock.ts';
import { SallyportError, toSallyportError } from '../../contracts/errors.ts';

const firstRetryMs = 100;
const longestRetryMs = 2000;

/**
 * One call at a time, sent again until it is answered or refused (a status below 500), with a growing pause: where an answer is lost
 * nobody knows whether the call counted, so the other side must take it once, however often it comes.
 */
export class RepeatedCall<Question, Answer> {
  readonly #clock: Clock;
  readonly #send: (question: Question) => Promise<Answer>;
  readonly #settled: (question: Question, outcome: Answer | SallyportError) => void;
  #pending: Question | undefined;
  #retry: Timer | undefined;
  #retryMs = firstRetryMs;

  constructor(clock: Clock, send: (question: Question) => Promise<Answer>, settled: (question: Question, outcome: Answer | SallyportError) => void) {
    this.#clock = clock;
    this.#send = send;
    this.#settled = settled;
  }

  /** Sent, and neither answered nor refused. */
  get pending(): boolean { return this.#pending !== undefined; }
  /** The last try failed. */
  get failing(): boolean { return this.#retry !== undefined; }

  start(question: Question): void {
    this.#pending = question;
    void this.#try(question);
  }

  /** The other side can be asked again. */
  wake(): void {
    if (this.#retry === undefined) return;
    this.#retryMs = firstRetryMs;
    this.#again();
  }

  /** No longer asks. */
  abandon(): void {
    this.#retry?.cancel();
  }

  async #try(question: Question): Promise<void> {
    let outcome: Answer | SallyportError;
    try {
      outcome = await this.#send(question);
    } catch (error) {
      outcome = toSallyportError(error);
      if (outcome.entry.status >= 500) {
        this.#retry = this.#clock.setTimeout(() => this.#again(), this.#retryMs, { background: true });
        this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
        return;
      }
    }
    this.#retryMs = firstRetryMs;
    this.#pending = undefined;
    this.#settled(question, outcome);
  }

  #again(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    void this.#try(this.#pending!);
  }
}
