/** How a record names an exchange that was open. */
export interface OpenName {
  readonly egress_id: string;
  readonly run_id: string;
}

/** An exchange whose `egress.decided` is on disk and whose end is not; the links and the sequence are the list's own. */
export class OpenExchange implements OpenName {
  readonly egress_id: string;
  readonly run_id: string;
  /** Of the segment in which it began. */
  sequence = -1;
  before: OpenExchange | undefined;
  after: OpenExchange | undefined;

  constructor(egress_id: string, run_id: string) {
    this.egress_id = egress_id;
    this.run_id = run_id;
  }
}

/**
 * Which exchanges of a journal are open, in order of their beginning. Segments that a seal covers are deleted while a long tunnel that
 * began in one goes on; after a crash its units must not be given back, so what would be forgotten with the segments is kept
 * beside them (journal-state.ts). A linked list, because a Map that is changed on every request costs a lot (roster.ts).
 */
export class OpenExchanges {
  #first: OpenExchange | undefined;
  #last: OpenExchange | undefined;

  opened(exchange: OpenExchange, sequence: number): void {
    exchange.sequence = sequence;
    exchange.before = this.#last;
    if (this.#last === undefined) this.#first = exchange;
    else this.#last.after = exchange;
    this.#last = exchange;
  }

  /** To be called once the end is on disk. */
  ended(exchange: OpenExchange): void {
    const { before, after } = exchange;
    if (before !== undefined) before.after = after;
    else if (this.#first === exchange) this.#first = after;
    if (after !== undefined) after.before = before;
    else if (this.#last === exchange) this.#last = before;
    exchange.before = exchange.after = undefined;
  }

  /** Those that began in segments up to `sequence`. */
  begunThrough(sequence: number): readonly OpenName[] {
    const found: OpenName[] = [];
    for (let exchange = this.#first; exchange !== undefined && exchange.sequence <= sequence; exchange = exchange.after) {
      found.push({ egress_id: exchange.egress_id, run_id: exchange.run_id });
    }
    return found;
  }
}
