const bytes = 65_536;
/** Of all tunnels together: a read is over, and what it read is copied, before the next one begins. */
const common = Buffer.allocUnsafeSlow(bytes);

/**
 * Where one tunnel reads to. A fresh 64 KiB for each read (Node's way) costs a sixth of the throughput, and a buffer for each tunnel
 * costs memory where most are idle: so a tunnel has one of its own only while its reads fill it, and else what is read is copied.
 */
export class ReadBuffer {
  #own: Buffer | undefined;
  #filled = false;

  /** The bytes of a read that has just come, up to `length`; the caller's until `next`. */
  read(length: number): Buffer {
    this.#filled = length === bytes;
    return this.#own === undefined ? Buffer.from(common.subarray(0, length)) : this.#own.subarray(0, length);
  }

  /** Where the next read goes. `held`: someone still needs the bytes of the last one. */
  next(held: boolean): Buffer {
    if (!this.#filled) this.#own = undefined;
    else if (this.#own === undefined || held) this.#own = Buffer.allocUnsafeSlow(bytes);
    return this.#own ?? common;
  }
}
