import { rm, unlink } from 'node:fs/promises';
import type { Clock, Timer } from '../../contracts/clock.ts';
import type { IngestAnswer } from '../../contracts/data-plane.ts';
import { SallyportError, type ErrorCode } from '../../contracts/errors.ts';
import { SegmentReader } from './segment-reader.ts';

/** One closed segment on disk. */
export interface Shippable {
  readonly journal_id: string;
  readonly sequence: number;
  readonly path: string;
  readonly bytes: number;
}

export interface ShippingOptions {
  /** Hands a segment to the control plane; throws a SallyportError, whose `expected` says what `journal_gap` asks for. */
  readonly send: (bytes: Buffer) => Promise<IngestAnswer>;
  readonly clock: Clock;
  /** Bytes on disk, shipped or not, above which nothing new may begin. */
  readonly maxBytes: number;
  /** Something that a person must look at; undefined when it has passed. */
  readonly onTrouble: (problem: SallyportError | undefined) => void;
  /** Called before the first segment of a journal goes: what is then forgotten with them has to be kept. */
  readonly beforeDeletion: (journalId: string, through: number) => Promise<void>;
}

type Kept = Shippable & { /** When it came here, monotonic milliseconds. */ readonly kept_at: number };

interface Line {
  readonly journal_id: string;
  readonly folder: string;
  /** On disk, in order. */
  readonly segments: Kept[];
  /** Sequence of the next one to send. */
  next: number;
  /** Whether a worker still writes it. */
  live: boolean;
  /** Why it cannot go on. */
  stopped: SallyportError | undefined;
}

/** Trying the same segment again would not help. */
const final: ReadonlySet<ErrorCode> = new Set(['journal_forked', 'journal_gap', 'invalid_request', 'malformed_json', 'body_too_large', 'not_supported']);

const firstRetryMs = 100;
const longestRetryMs = 5000;

/**
 * Ships closed segments in order, one at a time, older journals first, and deletes those that a seal covers. A journal that the
 * control plane refuses for good (forked, or with a segment missing that is gone) stops alone and stays on disk.
 */
export class Shipping {
  readonly #options: ShippingOptions;
  readonly #lines = new Map<string, Line>();
  readonly #reader = new SegmentReader();
  #bytes = 0;
  #working: Promise<void> | undefined;
  #retry: Timer | undefined;
  #retryMs = firstRetryMs;
  #ended = false;
  #deleting: Promise<void> = Promise.resolve();
  #waiters: { readonly journal_id: string; readonly through: number; readonly resolve: () => void }[] = [];

  constructor(options: ShippingOptions) {
    this.#options = options;
  }

  /** Why a journal must not grow: it is not taken any more, or too much lies on disk. */
  refusal(journalId: string): SallyportError | undefined {
    const stopped = this.#lines.get(journalId)?.stopped;
    if (stopped !== undefined) return new SallyportError('journal_unavailable', stopped.message, { cause: stopped });
    if (this.#bytes <= this.#options.maxBytes) return undefined;
    return new SallyportError('journal_unavailable', `The journal holds ${this.#bytes} bytes that the control plane has not taken over and sealed; nothing is sent unrecorded.`);
  }

  addJournal(journalId: string, folder: string, live: boolean, segments: readonly Shippable[]): void {
    this.#lines.set(journalId, { journal_id: journalId, folder, segments: segments.map((segment) => this.#kept(segment)), next: segments[0]?.sequence ?? 0, live, stopped: undefined });
    for (const { bytes } of segments) this.#bytes += bytes;
    this.#work();
  }

  add(segment: Shippable): void {
    this.#lines.get(segment.journal_id)!.segments.push(this.#kept(segment));
    this.#bytes += segment.bytes;
    this.#work();
  }

  /** What the control plane has not taken: its bytes, and for how long the oldest of it has been here. */
  get lag(): { readonly bytes: number; readonly milliseconds: number } {
    const now = this.#options.clock.monotonic();
    const waiting = [...this.#lines.values()].flatMap(({ segments, next }) => segments.filter(({ sequence }) => sequence >= next));
    return {
      bytes: waiting.reduce((sum, { bytes }) => sum + bytes, 0),
      milliseconds: waiting.reduce((longest, { kept_at }) => Math.max(longest, now - kept_at), 0),
    };
  }

  /** Settles once the control plane has taken `through` and all before it. */
  shipped(journalId: string, through: number): Promise<void> {
    const line = this.#lines.get(journalId);
    if (line === undefined || line.next > through) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ journal_id: journalId, through, resolve }));
  }

  /** Deletes what a seal covers; a segment that was not taken stays whatever the message says. One deletion at a time: what it counts must not move. */
  sealed(journalId: string, through: number): Promise<void> {
    const mine = this.#deleting.then(() => this.#delete(journalId, through));
    this.#deleting = mine.catch(() => { /* Told to who asked for it. */ });
    return mine;
  }

  async #delete(journalId: string, through: number): Promise<void> {
    const line = this.#lines.get(journalId);
    if (line === undefined) return;
    const last = Math.min(through, line.next - 1);
    const count = line.segments.findLastIndex(({ sequence }) => sequence <= last) + 1;
    if (count > 0) {
      const covered = line.segments.slice(0, count);
      await this.#options.beforeDeletion(journalId, covered.at(-1)!.sequence);
      line.segments.splice(0, count);
      for (const { path, bytes } of covered) {
        await unlink(path);
        this.#bytes -= bytes;
      }
    }
    if (!line.live && line.segments.length === 0) {
      await rm(line.folder, { recursive: true });
      this.#lines.delete(journalId);
    }
  }

  /** The stream is open again: whoever waited for a retry need not. */
  wake(): void {
    this.#retryMs = firstRetryMs;
    this.#work();
  }

  /** Stops trying; what is not shipped stays on disk for the next worker of this slot. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#retry?.cancel();
    await this.#working;
    await this.#deleting;
  }

  #kept(segment: Shippable): Kept {
    return { ...segment, kept_at: this.#options.clock.monotonic() };
  }

  #work(): void {
    if (this.#working !== undefined || this.#ended) return;
    this.#retry?.cancel();
    this.#working = this.#ship().finally(() => {
      this.#working = undefined;
      if (!this.#ended && this.#retry === undefined && this.#nextSegment() !== undefined) this.#work();
    });
  }

  #nextSegment(): { readonly line: Line; readonly segment: Shippable } | undefined {
    for (const line of this.#lines.values()) {
      if (line.stopped !== undefined) continue;
      const first = line.segments[0];
      const segment = first === undefined ? undefined : line.segments[line.next - first.sequence];
      if (segment !== undefined) return { line, segment };
    }
    return undefined;
  }

  async #ship(): Promise<void> {
    this.#retry = undefined;
    for (let item = this.#nextSegment(); item !== undefined && !this.#ended; item = this.#nextSegment()) {
      const { line, segment } = item;
      try {
        await this.#options.send(await this.#reader.read(segment.path));
        line.next = segment.sequence + 1;
        this.#retryMs = firstRetryMs;
        this.#options.onTrouble(undefined);
        this.#settle();
      } catch (error) {
        this.#reader.forget();
        if (this.#refused(line, error)) continue;
        this.#retry = this.#options.clock.setTimeout(() => this.#work(), this.#retryMs, { background: true });
        this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
        return;
      }
    }
  }

  /** True when there is something else to do than to try again later. */
  #refused(line: Line, error: unknown): boolean {
    if (!(error instanceof SallyportError) || !final.has(error.code)) {
      this.#options.onTrouble(error instanceof SallyportError ? error : new SallyportError('journal_unavailable', String(error), { cause: error }));
      return false;
    }
    const expected = (error as { readonly expected?: number }).expected;
    if (error.code === 'journal_gap' && expected !== undefined && expected !== line.next) {
      const first = line.segments[0]?.sequence ?? line.next;
      if (expected >= first) {
        line.next = expected;
        this.#settle();
        return true;
      }
    }
    line.stopped = new SallyportError(error.code, `The control plane does not take segment ${line.next} of journal ${line.journal_id}: ${error.message} It stays in ${line.folder}.`, { cause: error });
    this.#options.onTrouble(line.stopped);
    return true;
  }

  #settle(): void {
    if (this.#waiters.length === 0) return;
    this.#waiters = this.#waiters.filter(({ journal_id, through, resolve }) => {
      if ((this.#lines.get(journal_id)?.next ?? Number.POSITIVE_INFINITY) <= through) return true;
      resolve();
      return false;
    });
  }
}
