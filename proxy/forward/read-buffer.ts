import { borrowBuffer, giveBackBuffer } from '../wire/buffer-pool.ts';

const bytes = 65_536;
/** Of all tunnels together: a read is over, and what it read is copied, before the next one begins. */
const common = Buffer.allocUnsafeSlow(bytes);
/** Up to here a copy comes from Node's own pool of small buffers. */
const smallBytes = 4096;

/**
 * Where one tunnel reads to. A fresh 64 KiB for each read (Node's way) costs a sixth of the throughput, and a buffer for each tunnel
 * costs memory where most are idle: so a tunnel has buffers of its own only while its reads fill them or somebody still needs what
 * they hold, and else what is read is copied.
 */
export class ReadBuffer {
  #own: Buffer | undefined;
  /** Borrowed ones whose bytes may still be needed. */
  #lent: Buffer[] = [];
  #filled = false;

  /** The bytes of a read that has just come, up to `length`; the caller's until `next` is told that nobody holds any. */
  read(length: number): Buffer {
    this.#filled = length === bytes;
    if (this.#own !== undefined) return this.#own.subarray(0, length);
    if (length <= smallBytes) return Buffer.from(common.subarray(0, length));
    const copy = borrowBuffer();
    common.copy(copy, 0, 0, length);
    this.#lent.push(copy);
    return copy.subarray(0, length);
  }

  /** Where the next read goes. `held`: someone still needs bytes of earlier ones. */
  next(held: boolean): Buffer {
    if (held) {
      if (this.#own !== undefined) this.#lent.push(this.#own);
      this.#own = undefined;
    } else {
      this.#giveBack();
    }
    if (!this.#filled) {
      if (this.#own !== undefined) giveBackBuffer(this.#own);
      this.#own = undefined;
      return common;
    }
    this.#own ??= borrowBuffer();
    return this.#own.subarray(0, bytes);
  }

  /** Nothing is read any more. */
  end(held: boolean): void {
    this.#filled = false;
    this.next(held);
    this.#lent = [];
  }

  #giveBack(): void {
    if (this.#lent.length === 0) return;
    for (const buffer of this.#lent) giveBackBuffer(buffer);
    this.#lent = [];
  }
}
