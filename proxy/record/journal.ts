import { join } from 'node:path';
import type { Clock, Timer } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { firstPrevious, fitsRecord, recordMaxBytes, segmentMaxAgeMs, segmentMaxRecords } from '../../contracts/journal.ts';
import { LineBuffer } from './line-buffer.ts';
import { OpenExchanges, type OpenExchange } from './open-exchanges.ts';
import { localDisk, SegmentFile, segmentName, unavailable, type Disk } from './segment-file.ts';

export interface ClosedSegment {
  readonly journal_id: string;
  readonly sequence: number;
  readonly path: string;
  readonly bytes: number;
  readonly digest: string;
}

export interface JournalOptions {
  /** The journal's own folder, which exists and is empty. */
  readonly folder: string;
  readonly journal_id: string;
  /** `crash`: survives kill -9. `power`: every group is synced before its receipts. */
  readonly durability: 'crash' | 'power';
  readonly clock: Clock;
  readonly disk?: Disk;
  readonly onClosed: (segment: ClosedSegment) => void;
  /** The journal stopped taking records (why), or takes them again. */
  readonly onAvailability: (problem: SallyportError | undefined) => void;
  /** A record that says that so many refusals could not be written. */
  readonly omission: (records: number) => string;
}

/** Lines that go to disk with one write, and the promise that their askers share. */
interface Group {
  readonly lines: string[];
  /** Of all lines, UTF-16. */
  units: number;
  readonly opens: OpenExchange[];
  readonly receipt: PromiseWithResolvers<void>;
}

interface Owed {
  readonly line: string;
  /** The exchange that this record ends. */
  readonly ends: OpenExchange | undefined;
}

interface Batch {
  readonly owed: readonly Owed[];
  readonly groups: readonly Group[];
  readonly omitted: number;
}

const groupRecords = 500;
/**
 * Of one write, in UTF-16 units, and of a segment, in bytes, before it is closed: the control plane takes a segment in one piece, and
 * whoever needs it meanwhile (a draw of another run) waits. Records are seldom above 2 KiB, so that most segments are far smaller.
 */
const writeUnits = 2 * 1024 * 1024;
const segmentBytes = 4 * 1024 * 1024;
/** Refusals that wait for a full disk, in UTF-16 units; further ones are only counted. */
const waitingRefusals = 8 * 1024 * 1024;
const retryMs = 250;

/**
 * A worker's journal: records are written in groups, one write at a time, and each asker gets the receipt of its group. A group that
 * fails is dropped whole: what was refused for it is never written later. What has already happened (the end of an exchange) is
 * kept until it can be written.
 */
export class Journal {
  readonly open = new OpenExchanges();
  readonly #options: JournalOptions;
  readonly #disk: Disk;
  readonly #lines = new LineBuffer();
  #groups: Group[] = [];
  #owed: Owed[] = [];
  #owedUnits = 0;
  #omitted = 0;
  #segment: SegmentFile | undefined;
  #sequence = 0;
  #previous = firstPrevious;
  #closeWanted = false;
  #closeWaiters: PromiseWithResolvers<void>[] = [];
  #ageTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #working: Promise<void> | undefined;
  #scheduled = false;
  #problem: SallyportError | undefined;
  #refusal: SallyportError | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#disk = options.disk ?? localDisk;
  }

  get journal_id(): string { return this.#options.journal_id; }

  /** Why nothing new can be recorded at present. */
  get problem(): SallyportError | undefined { return this.#refusal ?? this.#problem; }

  /** Set while too much waits to be shipped: nothing new begins, what goes on is still recorded. */
  set refusal(refusal: SallyportError | undefined) { this.#refusal = refusal; }

  /**
   * Appends a record that must be on disk before what it speaks of happens, without its newline. The receipt rejects with
   * `journal_unavailable`; the record is then not in the journal and never will be. One that the control plane would not take is
   * `not_supported`: it would stop this journal, and with it all runs.
   */
  append(line: string, opens?: OpenExchange): Promise<void> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    if (!fitsRecord(line)) return Promise.reject(new SallyportError('not_supported', `What has to be recorded of this request is larger than ${recordMaxBytes} bytes.`));
    let group = this.#groups.at(-1);
    if (group === undefined || group.lines.length >= groupRecords || group.units >= writeUnits) {
      group = newGroup();
      this.#groups.push(group);
    }
    group.lines.push(line);
    group.units += line.length;
    if (opens !== undefined) group.opens.push(opens);
    this.#schedule();
    return group.receipt.promise;
  }

  /** Appends what has happened already; `ends` names the exchange that it ends. Kept until it can be written. */
  note(line: string, ends?: OpenExchange): void {
    if (ends === undefined && (this.#owedUnits + line.length > waitingRefusals || !fitsRecord(line))) return this.omit();
    this.#owed.push({ line, ends });
    this.#owedUnits += line.length;
    this.#schedule();
  }

  /** Counts a refusal that is not written; told in one record with the next write. */
  omit(): void {
    this.#omitted++;
  }

  /** Settles when all that was appended before is written and its segment closed; rejects while the disk refuses. */
  closeSegment(): Promise<void> {
    const closed = Promise.withResolvers<void>();
    this.#closeWanted = true;
    this.#closeWaiters.push(closed);
    this.#schedule();
    return closed.promise;
  }

  /** Closes the last segment, and gives its sequence; nothing may be appended afterwards. */
  async end(): Promise<number> {
    try {
      await this.closeSegment();
    } finally {
      this.#retryTimer?.cancel();
      this.#ageTimer?.cancel();
    }
    return this.#sequence - 1;
  }

  /** All readable sockets of this turn of the loop come first, so that their records share one write. */
  #schedule(): void {
    if (this.#scheduled || this.#working !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      void this.#work();
    });
  }

  #work(): Promise<void> {
    this.#working ??= this.#drain().finally(() => {
      this.#working = undefined;
      if (this.#problem === undefined && this.#pending()) this.#schedule();
    });
    return this.#working;
  }

  #pending(): boolean {
    return this.#groups.length > 0 || this.#owed.length > 0 || this.#closeWanted;
  }

  async #drain(): Promise<void> {
    this.#retryTimer?.cancel();
    while (this.#pending()) {
      let batch = this.#next();
      // Under load something always waits, so a wanted close comes after the write that takes all that waited when it was wanted.
      const everything = this.#groups.length === 0 && this.#owed.length === 0;
      const waiters = everything ? this.#closeWaiters.splice(0) : [];
      const closing = batch === undefined || (everything && this.#closeWanted);
      try {
        if (batch !== undefined) await this.#write(batch);
        batch = undefined;
        if (closing || (this.#segment?.bytes ?? 0) >= segmentBytes) await this.#closeCurrent();
        this.#setProblem(undefined);
        for (const waiter of waiters) waiter.resolve();
      } catch (error) {
        this.#closeWaiters.push(...waiters);
        this.#fail(unavailable(error), batch);
        return;
      }
    }
  }

  /** What goes into the present segment with the next write; undefined when it has no room or nothing waits but its end. */
  #next(): Batch | undefined {
    let room = segmentMaxRecords - (this.#segment?.records ?? 0);
    const omitted = room > 0 ? this.#omitted : 0;
    if (omitted > 0) room--;
    let units = writeUnits;
    let count = 0;
    for (; count < room && count < this.#owed.length && units > 0; count++) units -= this.#owed[count]!.line.length;
    const owed = this.#owed.splice(0, count);
    room -= count;
    const groups: Group[] = [];
    for (let group = this.#groups[0]; group !== undefined && group.lines.length <= room && units > 0; group = this.#groups[0]) {
      room -= group.lines.length;
      units -= group.units;
      groups.push(group);
      this.#groups.shift();
    }
    return owed.length === 0 && groups.length === 0 && omitted === 0 ? undefined : { owed, groups, omitted };
  }

  async #write({ owed, groups, omitted }: Batch): Promise<void> {
    const lines = owed.map(({ line }) => line);
    if (omitted > 0) lines.push(this.#options.omission(omitted));
    for (const group of groups) lines.push(...group.lines);
    const segment = this.#segment ??= await this.#createSegment();
    await segment.append(lines, this.#options.durability === 'power');
    if (segment.records === lines.length) this.#armAge();
    for (const { line, ends } of owed) {
      this.#owedUnits -= line.length;
      if (ends !== undefined) this.open.ended(ends);
    }
    this.#omitted -= omitted;
    this.#setProblem(undefined);
    for (const group of groups) {
      for (const exchange of group.opens) this.open.opened(exchange, segment.sequence);
      group.receipt.resolve();
    }
  }

  #fail(problem: SallyportError, batch: Batch | undefined): void {
    if (batch !== undefined) this.#owed.unshift(...batch.owed);
    this.#setProblem(problem);
    for (const group of [...batch?.groups ?? [], ...this.#groups.splice(0)]) group.receipt.reject(problem);
    for (const waiter of this.#closeWaiters.splice(0)) waiter.reject(problem);
    this.#retryTimer = this.#options.clock.setTimeout(() => this.#schedule(), retryMs, { background: true });
  }

  async #createSegment(): Promise<SegmentFile> {
    const { folder, journal_id, clock, durability } = this.#options;
    const path = join(folder, segmentName(this.#sequence));
    const fd = await this.#disk.create(path);
    if (durability === 'power') await this.#disk.syncFolder(folder);
    return new SegmentFile(this.#disk, this.#lines, fd, path, { v: 1, journal_id, sequence: this.#sequence, previous: this.#previous, opened_at: clock.now() });
  }

  #armAge(): void {
    this.#ageTimer = this.#options.clock.setTimeout(() => {
      this.#closeWanted = true;
      this.#schedule();
    }, segmentMaxAgeMs, { background: true });
  }

  async #closeCurrent(): Promise<void> {
    const segment = this.#segment;
    const wanted = this.#closeWanted;
    // Whoever asked since then waits for what came since then.
    this.#closeWanted = this.#closeWaiters.length > 0;
    if (segment === undefined || segment.records === 0) return;
    let digest: string;
    try {
      digest = await segment.finish(this.#options.durability === 'power');
    } catch (error) {
      this.#closeWanted ||= wanted;
      throw error;
    }
    this.#ageTimer?.cancel();
    this.#segment = undefined;
    this.#sequence++;
    this.#previous = digest;
    this.#options.onClosed({ journal_id: this.journal_id, sequence: segment.sequence, path: segment.path, bytes: segment.bytes, digest });
  }

  #setProblem(problem: SallyportError | undefined): void {
    const changed = (this.#problem === undefined) !== (problem === undefined);
    this.#problem = problem;
    if (changed) this.#options.onAvailability(problem);
  }
}

function newGroup(): Group {
  const receipt = Promise.withResolvers<void>();
  // Every asker hears of it; this only keeps a group whose askers have gone from ending the process.
  receipt.promise.catch(() => undefined);
  return { lines: [], units: 0, opens: [], receipt };
}
