/** An exchange whose `egress.decided` is on disk and whose end is not. */
export interface OpenExchange {
  readonly egress_id: string;
  readonly run_id: string;
}

/**
 * Which exchanges of a journal are open. Segments that a seal covers are deleted while a long tunnel that began in one goes on;
 * after a crash its units must not be given back, so what would be forgotten with the segments is kept beside them
 * (journal-state.ts).
 */
export class OpenExchanges {
  readonly #open = new Map<string, { readonly run_id: string; readonly sequence: number }>();

  opened(exchange: OpenExchange, sequence: number): void {
    this.#open.set(exchange.egress_id, { run_id: exchange.run_id, sequence });
  }

  /** To be called once the end is on disk. */
  ended(egressId: string): void {
    this.#open.delete(egressId);
  }

  /** Those that began in segments up to `sequence`. */
  begunThrough(sequence: number): readonly OpenExchange[] {
    const found: OpenExchange[] = [];
    // In order of beginning, so the first later one ends the search.
    for (const [egress_id, { run_id, sequence: begun }] of this.#open) {
      if (begun > sequence) break;
      found.push({ egress_id, run_id });
    }
    return found;
  }
}
