import { maximumHeadBytes } from './head-rules.ts';

export type Collected = 'more' | 'head' | 'bad';

const lineFeed = 10;
const carriageReturn = 13;
const endOfHead = Buffer.from('\r\n\r\n');
/** First bytes of a method or of `HTTP/`; what starts otherwise (TLS, binary protocols) need not be waited for. */
const isLetter = (byte: number): boolean => (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122);
/** Empty lines skipped before a request line (RFC 9112, section 2.2, asks for one at least). */
const maximumEmptyLines = 4;
const firstBytes = 4096;
const none = Buffer.alloc(0);

/**
 * Collects the bytes of one head, split anywhere. A bare LF or a first byte that can't start a head is told at once, not when the
 * time for the head is over. Holds at most `maximumHeadBytes` and one read.
 */
export class HeadCollector {
  readonly #skipsEmptyLines: boolean;
  #held: Buffer | undefined;
  #length = 0;
  #scanned = 0;
  #emptyLines = 0;
  /** The head with its empty line; a part of the input where it came in one piece. */
  head: Buffer = none;
  /** What followed the head in the last input. */
  rest: Buffer = none;
  problem = '';

  constructor(skipsEmptyLines: boolean) {
    this.#skipsEmptyLines = skipsEmptyLines;
  }

  /** A head has begun but is not complete. */
  get partial(): boolean {
    return this.#length > 0;
  }

  feed(input: Buffer): Collected {
    let bytes = this.#held === undefined ? input : this.#append(input);
    if (this.#skipsEmptyLines && this.#scanned === 0) {
      while (bytes.length >= 2 && bytes[0] === carriageReturn && bytes[1] === lineFeed) {
        if (++this.#emptyLines > maximumEmptyLines) return this.#bad('there are only empty lines');
        bytes = bytes.subarray(2);
      }
      if (bytes.length === 0 || (bytes.length === 1 && bytes[0] === carriageReturn)) {
        this.#hold(bytes);
        return 'more';
      }
    }
    if (this.#scanned === 0 && !isLetter(bytes[0] ?? 0)) return this.#bad('it does not begin as HTTP');
    const end = bytes.indexOf(endOfHead, Math.max(0, this.#scanned - 3));
    if (end >= 0 && end + 4 <= maximumHeadBytes) {
      this.head = end + 4 === bytes.length ? bytes : bytes.subarray(0, end + 4);
      this.rest = end + 4 === bytes.length ? none : bytes.subarray(end + 4);
      this.#held = undefined;
      this.#length = this.#scanned = this.#emptyLines = 0;
      return 'head';
    }
    if (end >= 0 || bytes.length >= maximumHeadBytes) return this.#bad(`the head is larger than ${maximumHeadBytes} bytes`);
    for (let at = bytes.indexOf(lineFeed, this.#scanned); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) {
      if (bytes[at - 1] !== carriageReturn) return this.#bad('a line ends in LF alone');
    }
    this.#scanned = bytes.length;
    this.#hold(bytes);
    return 'more';
  }

  #bad(problem: string): Collected {
    this.problem = problem;
    this.#held = undefined;
    return 'bad';
  }

  #append(input: Buffer): Buffer {
    const needed = this.#length + input.length;
    if (needed > this.#held!.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#held!.length * 2));
      this.#held!.copy(larger, 0, 0, this.#length);
      this.#held = larger;
    }
    input.copy(this.#held!, this.#length);
    return this.#held!.subarray(0, needed);
  }

  /** Keeps `bytes` (the input, or the held bytes, perhaps without empty lines at their front) for the next input. */
  #hold(bytes: Buffer): void {
    if (this.#held === undefined || bytes.byteOffset !== this.#held.byteOffset) {
      const held = Buffer.allocUnsafeSlow(Math.max(firstBytes, bytes.length * 2));
      bytes.copy(held);
      this.#held = held;
    }
    this.#length = bytes.length;
  }
}
