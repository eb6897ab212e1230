import { open } from 'node:fs/promises';

/** Segments are closed at 4 MiB (journal.ts), so nearly all fit; a larger one gets memory of its own. */
const keptBytes = 5 * 1024 * 1024;

/**
 * Reads segments one after the other into memory that is used again: a fresh megabyte for each, ten times a second, is freed only when
 * V8 collects, and leaves the process larger than it need be.
 */
export class SegmentReader {
  #buffer = Buffer.alloc(0);

  /** Valid until the next call. */
  async read(path: string): Promise<Buffer> {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const buffer = this.#large(size);
      let length = 0;
      for (let read = 1; read > 0 && length < size; length += read) read = (await file.read(buffer, length, size - length, length)).bytesRead;
      return buffer.subarray(0, length);
    } finally {
      await file.close();
    }
  }

  /** To be called when a sending was given up: its socket may still hold the memory. */
  forget(): void {
    this.#buffer = Buffer.alloc(0);
  }

  #large(size: number): Buffer {
    if (size <= this.#buffer.length) return this.#buffer;
    const larger = Buffer.allocUnsafeSlow(size);
    if (size <= keptBytes) this.#buffer = larger;
    return larger;
  }
}
