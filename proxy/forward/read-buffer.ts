const smallBytes = 4_096;
const largeBytes = 65_536;

/**
 * One tunnel's read buffer, used again as long as nobody holds it: a fresh 64 KiB for each read (Node's way) costs a sixth of the
 * throughput. Small while little comes, so that an idle tunnel costs little.
 */
export class ReadBuffer {
  #buffer = Buffer.allocUnsafeSlow(smallBytes);
  #wanted = smallBytes;

  /** The bytes of a read that has just filled the buffer up to `length`. */
  read(length: number): Buffer {
    this.#wanted = length === this.#buffer.length ? largeBytes : length <= smallBytes ? smallBytes : this.#buffer.length;
    return this.#buffer.subarray(0, length);
  }

  /** Where the next read goes. `held`: someone still needs the bytes of the last one. */
  next(held: boolean): Buffer {
    if (held || this.#wanted !== this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(this.#wanted);
    return this.#buffer;
  }
}
