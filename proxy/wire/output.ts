import type { Duplex } from 'node:stream';
import { borrowBuffer, freeRead, giveBackBuffer, pooledBytes } from './buffer-pool.ts';

/** From here on a write of its own is cheaper than a copy, and a copy goes into a pooled buffer. */
const copiedBytes = 16_384;

/**
 * Gathers what belongs into one write. `flush` leaves nothing behind that points into a borrowed buffer, so read buffers can be
 * used again.
 */
export class Output {
  readonly #stream: Duplex;
  /** Nearly all writes are a head, or a head and a body behind it: kept without an array. */
  #text = '';
  #bytes: Buffer | undefined;
  /** What comes behind those two. */
  #pieces: (string | Buffer)[] | undefined;
  #length = 0;

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  /** Latin1, as heads are. */
  text(text: string): void {
    this.#length += text.length;
    if (this.#bytes === undefined) this.#text += text;
    else (this.#pieces ??= []).push(text);
  }

  /** Borrowed until `flush`. */
  bytes(bytes: Buffer): void {
    this.#length += bytes.length;
    if (this.#bytes === undefined) this.#bytes = bytes;
    else (this.#pieces ??= []).push(bytes);
  }

  /** Writes what was gathered and then bytes that nobody else will use, uncopied where they are many. */
  give(bytes: Buffer): boolean {
    if (bytes.length < copiedBytes) {
      this.bytes(bytes);
      return this.flush();
    }
    this.flush();
    return this.#stream.destroyed || this.#stream.writableEnded || this.#stream.write(bytes, () => { freeRead(bytes); });
  }

  /** Writes what was gathered. False: the stream wants no more until it drains. */
  flush(): boolean {
    const stream = this.#stream;
    if (this.#length === 0) return !stream.writableNeedDrain;
    const text = this.#text;
    const bytes = this.#bytes;
    const pieces = this.#pieces;
    const total = this.#length;
    this.#text = '';
    this.#bytes = this.#pieces = undefined;
    this.#length = 0;
    if (stream.destroyed || stream.writableEnded) return true;
    if (bytes === undefined) return stream.write(text, 'latin1');
    if (total > pooledBytes) return writeAll(stream, [text, bytes, ...pieces ?? []]);
    const pooled = total >= copiedBytes ? borrowBuffer() : undefined;
    const joined = pooled?.subarray(0, total) ?? Buffer.allocUnsafe(total);
    let at = text === '' ? 0 : joined.write(text, 'latin1');
    at += bytes.copy(joined, at);
    if (pieces !== undefined) for (const piece of pieces) at += typeof piece === 'string' ? joined.write(piece, at, 'latin1') : piece.copy(joined, at);
    // Up to here pieces are copied and written at once: cheaper than a `writev` of two.
    return pooled === undefined ? stream.write(joined) : stream.write(joined, () => { giveBackBuffer(pooled); });
  }
}

function writeAll(stream: Duplex, pieces: readonly (string | Buffer)[]): boolean {
  let goes = true;
  stream.cork();
  for (const piece of pieces) {
    if (piece.length > 0) goes = typeof piece === 'string' ? stream.write(piece, 'latin1') : stream.write(Buffer.from(piece));
  }
  stream.uncork();
  return goes;
}
