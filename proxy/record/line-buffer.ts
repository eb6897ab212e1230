const firstBytes = 256 * 1024;
/** One that had to grow beyond this is not kept. */
const keptBytes = 4 * 1024 * 1024;

/**
 * Lines as UTF-8, each ended by a newline, in a buffer that is used again: joining them into one string first costs a copy of all of it
 * and a third of the time.
 */
export class LineBuffer {
  #buffer = Buffer.allocUnsafeSlow(firstBytes);

  /** Valid until the next call. */
  encode(lines: readonly string[]): Buffer {
    // No UTF-16 unit takes more than three bytes.
    let most = lines.length;
    for (const line of lines) most += line.length * 3;
    const buffer = this.#large(most);
    let at = 0;
    for (const line of lines) {
      at += buffer.write(line, at, 'utf8');
      buffer[at++] = 10;
    }
    return buffer.subarray(0, at);
  }

  #large(bytes: number): Buffer {
    if (bytes <= this.#buffer.length) return this.#buffer;
    const larger = Buffer.allocUnsafeSlow(bytes);
    if (bytes <= keptBytes) this.#buffer = larger;
    return larger;
  }
}
