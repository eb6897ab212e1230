import type { Duplex } from 'node:stream';

/** Up to here pieces are copied into one buffer and written at once: cheaper than a `writev` of two. */
const joinedBytes = 65_536 + 1024;

/**
 * Gathers what belongs into one write. `flush` leaves nothing behind that points into a borrowed buffer, so read buffers can be
 * used again.
 */
export class Output {
  readonly #stream: Duplex;
  #pieces: (string | Buffer)[] = [];
  #length = 0;

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  /** Bytes gathered. */
  get length(): number {
    return this.#length;
  }

  /** Latin1, as heads are. */
  text(text: string): void {
    this.#pieces.push(text);
    this.#length += text.length;
  }

  /** Borrowed until `flush`. */
  bytes(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#length += bytes.length;
  }

  /** Writes what was gathered. False: the stream wants no more until it drains. */
  flush(): boolean {
    if (this.#length === 0) return !this.#stream.writableNeedDrain;
    const pieces = this.#pieces;
    const total = this.#length;
    this.#pieces = [];
    this.#length = 0;
    if (this.#stream.destroyed || this.#stream.writableEnded) return true;
    if (pieces.length === 1 && typeof pieces[0] === 'string') return this.#stream.write(pieces[0], 'latin1');
    if (total <= joinedBytes) return this.#stream.write(join(pieces, total));
    this.#stream.cork();
    let goes = true;
    for (const piece of pieces) {
      goes = typeof piece === 'string' ? this.#stream.write(piece, 'latin1') : this.#stream.write(Buffer.from(piece));
    }
    this.#stream.uncork();
    return goes;
  }
}

function join(pieces: readonly (string | Buffer)[], total: number): Buffer {
  const joined = Buffer.allocUnsafe(total);
  let at = 0;
  for (const piece of pieces) {
    at += typeof piece === 'string' ? joined.write(piece, at, 'latin1') : piece.copy(joined, at);
  }
  return joined;
}
