import type { HeaderList, ResponseFraming } from '../exchange.ts';
import { ChunkedDecoder } from './llhttp.ts';

/** Reads one body out of a stream of bytes that may hold more than it. */
export interface BodyReader {
  readonly state: 'more' | 'done' | 'bad';
  readonly problem: string;
  /** Bytes of the last input that belong to the body, framing included. */
  readonly consumed: number;
  readonly trailers: HeaderList;
  /** The content in `bytes`, as parts of it. */
  read(bytes: Buffer): readonly Buffer[];
  /** The stream has ended. */
  finish(): void;
  /** Gives back what the reader holds; on every way out. */
  release(): void;
}

const nothing: readonly Buffer[] = [];

class LengthReader implements BodyReader {
  #left: number;
  state: 'more' | 'done' | 'bad';
  problem = '';
  consumed = 0;
  readonly trailers: HeaderList = [];

  constructor(bytes: number) {
    this.#left = bytes;
    this.state = bytes === 0 ? 'done' : 'more';
  }

  read(bytes: Buffer): readonly Buffer[] {
    this.consumed = Math.min(bytes.length, this.#left);
    this.#left -= this.consumed;
    if (this.#left === 0) this.state = 'done';
    if (this.consumed === 0) return nothing;
    return [this.consumed === bytes.length ? bytes : bytes.subarray(0, this.consumed)];
  }

  finish(): void {
    if (this.state !== 'more') return;
    this.state = 'bad';
    this.problem = `the body ends ${this.#left} bytes early`;
  }

  release(): void { /* Holds nothing. */ }
}

class UntilCloseReader implements BodyReader {
  state: 'more' | 'done' | 'bad' = 'more';
  readonly problem = '';
  consumed = 0;
  readonly trailers: HeaderList = [];

  read(bytes: Buffer): readonly Buffer[] {
    this.consumed = bytes.length;
    return [bytes];
  }

  finish(): void {
    this.state = 'done';
  }

  release(): void { /* Holds nothing. */ }
}

export function bodyReader(framing: ResponseFraming): BodyReader {
  switch (framing.kind) {
    case 'none': return new LengthReader(0);
    case 'length': return new LengthReader(framing.bytes);
    case 'chunked': return new ChunkedDecoder();
    case 'until_close': return new UntilCloseReader();
  }
}

/** What stands before a chunk of `bytes`; CRLF stands behind it. */
export const chunkStart = (bytes: number): string => `${bytes.toString(16)}\r\n`;

export const chunkEnd = '\r\n';

/** The last chunk with trailers (RFC 9112, section 7.1.2). */
export function lastChunk(trailers: HeaderList): string {
  let text = '0\r\n';
  for (let index = 0; index < trailers.length; index += 2) text += `${trailers[index]}: ${trailers[index + 1]}\r\n`;
  return `${text}\r\n`;
}
