const longestHead = 16_384;

/** Checks answers that come one after the other: each a 200 with a body of the expected length. Throws for anything else. */
export class AnswerReader {
  readonly #expected: number;
  readonly #method: 'GET' | 'POST' | 'CONNECT';
  #head = '';
  #left = -1;
  /** Bytes of body that have come in all. */
  received = 0;

  constructor(expected: number, method: 'GET' | 'POST' | 'CONNECT' = 'GET') {
    this.#expected = expected;
    this.#method = method;
  }

  /** Whether nothing of the next answer has come. */
  get fresh(): boolean {
    return this.#left < 0 && this.#head === '';
  }

  take(bytes: Buffer): 'more' | 'whole' {
    let body = bytes.length;
    if (this.#left < 0) {
      const before = this.#head.length;
      this.#head += bytes.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) {
        if (this.#head.length > longestHead) throw new Error('a head without end');
        return 'more';
      }
      this.#judge(this.#head.slice(0, end + 2));
      body = bytes.length - (end + 4 - before);
      this.#left = this.#expected;
      this.#head = '';
    }
    this.#left -= body;
    this.received += body;
    if (this.#left > 0) return 'more';
    if (this.#left < 0) throw new Error('more than one answer');
    this.#left = -1;
    return 'whole';
  }

  #judge(head: string): void {
    if (!/^HTTP\/1\.[01] 200 /.test(head)) throw new Error(`answered "${head.slice(0, head.indexOf('\r\n')).slice(0, 80)}"`);
    // A CONNECT's answer has no body, whatever it says.
    if (this.#method === 'CONNECT') return;
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1];
    if (Number(length ?? Number.NaN) !== this.#expected) throw new Error(`a length of ${length ?? 'unknown'} instead of ${this.#expected}`);
  }
}
