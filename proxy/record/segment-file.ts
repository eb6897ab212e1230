import { createHash, type Hash } from 'node:crypto';
import { close, fdatasync, ftruncate, open, write, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type { SegmentFooter, SegmentHeader } from '../../contracts/journal.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { LineBuffer } from './line-buffer.ts';

/** The few calls that reach the disk; tests put a disk in their place that is full or broken. */
export interface Disk {
  /** Creates the file, which must not exist. */
  create(path: string): Promise<number>;
  /** Writes all of `bytes` at `position`. Undefined: it is done already. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<void> | undefined;
  truncate(fd: number, length: number): Promise<void>;
  sync(fd: number): Promise<void>;
  close(fd: number): Promise<void>;
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>;
}

const opened = promisify(open);
const synced = promisify(fdatasync);
const closed = promisify(close);

/** A write into the page cache takes some 10 us, and a few milliseconds where others want the processor; a longer one met a disk that holds writers up. */
const slowMs = 50;
/** For so long writes then go through the thread pool, which costs 20 us more of each but never holds the event loop up. */
const cautiousMs = 10_000;
let cautiousUntil = Number.NEGATIVE_INFINITY;

function writeLater(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (from: number): void => {
      write(fd, bytes, from, bytes.length - from, position + from, (error, count) => {
        if (error !== null) reject(error);
        // A disk that fills up takes a part first and says ENOSPC only at the next try.
        else if (from + count < bytes.length) next(from + count);
        else resolve();
      });
    };
    next(0);
  });
}

export const localDisk: Disk = {
  create: (path) => opened(path, 'wx', 0o600),
  write(fd, bytes, position) {
    const began = performance.now();
    if (began < cautiousUntil) return writeLater(fd, bytes, position);
    for (let from = 0; from < bytes.length;) from += writeSync(fd, bytes, from, bytes.length - from, position + from);
    if (performance.now() - began > slowMs) cautiousUntil = performance.now() + cautiousMs;
    return undefined;
  },
  truncate: promisify(ftruncate),
  sync: synced,
  close: closed,
  async syncFolder(path) {
    const fd = await opened(path, 'r');
    try {
      await synced(fd);
    } finally {
      await closed(fd);
    }
  },
};

/**
 * One segment while it is written (contracts/journal.ts). What a failed write left behind the last whole record is cut off
 * before the next one, so only records that got their receipt are in the digest, and all of them are.
 */
export class SegmentFile {
  readonly sequence: number;
  readonly path: string;
  readonly openedAt: number;
  readonly #disk: Disk;
  /** The journal's own: one write is under way at a time. */
  readonly #lines: LineBuffer;
  readonly #fd: number;
  readonly #hash: Hash = createHash('sha256');
  #header: string | undefined;
  #length = 0;
  #records = 0;
  /** Whether bytes of a failed write may lie behind `#length`. */
  #dirty = false;
  /** Set once the footer is written. */
  #digest: string | undefined;

  constructor(disk: Disk, lines: LineBuffer, fd: number, path: string, header: SegmentHeader) {
    this.#disk = disk;
    this.#lines = lines;
    this.#fd = fd;
    this.path = path;
    this.sequence = header.sequence;
    this.openedAt = header.opened_at;
    this.#header = JSON.stringify(header);
  }

  get records(): number { return this.#records; }
  get bytes(): number { return this.#length; }

  /** Appends lines, without their newlines. What can't be made durable where that is wanted counts as not written. */
  async append(lines: readonly string[], durable: boolean): Promise<void> {
    const bytes = this.#lines.encode(this.#header === undefined ? lines : [this.#header, ...lines]);
    await this.#writeBehind(bytes, durable);
    this.#header = undefined;
    this.#hash.update(bytes);
    this.#records += lines.length;
  }

  /** Writes the footer and closes the file. May be repeated when it failed. Gives the digest. */
  async finish(durable: boolean): Promise<string> {
    if (this.#digest === undefined) {
      const footer: SegmentFooter = { end: true, records: this.#records, digest: this.#hash.copy().digest('hex') };
      await this.#writeBehind(Buffer.from(`${JSON.stringify(footer)}\n`), false);
      this.#digest = footer.digest;
    }
    if (durable) await this.#disk.sync(this.#fd);
    await this.#disk.close(this.#fd);
    return this.#digest;
  }

  async #writeBehind(bytes: Uint8Array, durable: boolean): Promise<void> {
    if (this.#dirty) await this.#disk.truncate(this.#fd, this.#length);
    this.#dirty = true;
    const writing = this.#disk.write(this.#fd, bytes, this.#length);
    if (writing !== undefined) await writing;
    if (durable) await this.#disk.sync(this.#fd);
    this.#dirty = false;
    this.#length += bytes.length;
  }
}

/** `journal_unavailable` with what the operating system says. */
export function unavailable(cause: unknown): SallyportError {
  if (cause instanceof SallyportError) return cause;
  const { code } = cause as NodeJS.ErrnoException;
  const detail = code === 'ENOSPC' || code === 'EDQUOT' ? 'The disk that holds the journal is full'
    : code === undefined ? 'The journal cannot be written' : `The journal cannot be written (${code})`;
  return new SallyportError('journal_unavailable', `${detail}; nothing is sent unrecorded.`, { cause });
}

export const segmentName = (sequence: number): string => `${String(sequence).padStart(8, '0')}.ndjson`;
const namePattern = /^(\d{8,})\.ndjson$/;

/** The sequence that a file name stands for; undefined for other files. */
export function sequenceOf(name: string): number | undefined {
  const digits = namePattern.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
