import { isUtf8 } from 'node:buffer';

const newline = 0x0a;

/** Takes chunks of bytes apart into lines of UTF-8, each at most `maxBytes` long and without its newline. */
export class LineSplitter {
  readonly #maxBytes: number;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Throws a TypeError on a line that is too long or not UTF-8; the splitter is of no use afterwards. */
  push(chunk: Uint8Array): readonly string[] {
    const end = chunk.lastIndexOf(newline) + 1;
    const whole = end === 0 ? undefined : Buffer.concat([this.#rest, chunk.subarray(0, end)]);
    this.#rest = whole === undefined ? Buffer.concat([this.#rest, chunk]) : chunk.slice(end);
    if (this.#rest.length > this.#maxBytes) throw this.#tooLong();
    if (whole === undefined) return [];
    if (!isUtf8(whole)) throw new TypeError('it is not UTF-8');
    const lines = whole.toString().split('\n');
    lines.pop();
    // A line of so few UTF-16 units can't be too long; only the others are counted.
    if (lines.some((line) => line.length * 3 > this.#maxBytes && Buffer.byteLength(line) > this.#maxBytes)) throw this.#tooLong();
    return lines;
  }

  /** Bytes after the last newline. */
  get unfinished(): number {
    return this.#rest.length;
  }

  #tooLong(): TypeError {
    return new TypeError(`a line is longer than ${this.#maxBytes} bytes`);
  }
}
