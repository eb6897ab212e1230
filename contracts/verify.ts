import { sha256Hex } from './digest.ts';
import { leafText, splitBodyLine } from './entry.ts';
import { parseExportLine, type ExportEnd, type ExportEntry, type ExportHeader, type ExportSeal } from './export.ts';
import { append, emptyFrontier, leafHash, rootOf, type Frontier } from './merkle-tree.ts';
import { verifySeal, type SealedHead } from './seal.ts';
import { formatVerifierKey, parseVerifierKey, type NoteKey } from './signed-note.ts';

export type VerificationCode =
  | 'not_an_export' // the first line is no header that can be used
  | 'unreadable' // a line that is none of an export, or none that fits here
  | 'entry_moved' // an entry was removed, added or swapped
  | 'event_changed' // a body line whose payload is not the one the event names
  | 'events_missing' // an entry has fewer events than it counts
  | 'entry_changed' // the events don't give the leaf
  | 'journal_gap' // a segment of a journal is missing
  | 'seal_invalid' // a seal that the key has not signed, or that says something else than its note
  | 'seal_moved' // a seal that stands where the tree has another size
  | 'history_rewritten' // a seal, here or pinned, is of another tree
  | 'incarnation_returned' // seals of an earlier database come after those of a later one
  | 'key_mismatch' // the export's key is not the pinned one
  | 'truncated' // the end is missing, or the tree is shorter than a pinned seal
  | 'end_mismatch' // the last line counts something else
  | 'unsealed'; // there is no seal at all: nothing here is signed

export interface VerificationProblem {
  readonly code: VerificationCode;
  /** `line 12, entry 3`, or `pinned seal 2`. */
  readonly where: string;
  readonly message: string;
}

export interface VerificationReport {
  readonly ok: boolean;
  readonly entries: number;
  readonly events: number;
  /** Events whose payload was shredded: the fact that they happened is proven, their content is gone. */
  readonly shredded: number;
  readonly seals: number;
  /** Entries that a valid seal covers; what comes after it is consistent, but nobody has signed it yet. */
  readonly sealed: number;
  /** Hex root. */
  readonly head: { readonly size: number; readonly root: string };
  readonly origin: string | undefined;
  readonly incarnation: string | undefined;
  /** Verifier key that the seals were checked with. */
  readonly key: string | undefined;
  /** Whether that key was given by the caller, or only by the export itself. */
  readonly trusted_key: boolean;
  readonly problems: readonly VerificationProblem[];
  /** Problems beyond the first 100. */
  readonly problems_omitted: number;
}

export interface Pinned {
  readonly key?: NoteKey | undefined;
  /** Notes of seals that were kept elsewhere. */
  readonly seals?: readonly string[] | undefined;
}

const problemsMax = 100;
/** A journal is a worker's life, so this is never met; each costs some 100 bytes. */
const journalsMax = 1_000_000;

/**
 * Verifies an export line by line, in memory of one entry. Nothing is trusted but the pinned key and seals (without them: the
 * export's own key): every line is compared with what it has to be, every leaf and root is computed again.
 */
export class ExportVerifier {
  readonly #pinned: Pinned;
  readonly #pinnedHeads = new Map<number, { readonly head: SealedHead; readonly where: string }[]>();
  readonly #problems: VerificationProblem[] = [];
  readonly #journals = new Map<string, number>();
  readonly #incarnations: string[] = [];
  #omitted = 0;
  #line = 0;
  #header: ExportHeader | undefined;
  #headerDigest = '';
  #key: NoteKey | undefined;
  #frontier: Frontier = emptyFrontier;
  #entry: ExportEntry | undefined;
  #texts: string[] = [];
  /** Whether a line of the present entry was reported already. */
  #broken = false;
  #events = 0;
  #shredded = 0;
  #seals = 0;
  #sealed = 0;
  #ended = false;
  /** Set when the first line is no header: nothing after it can be judged. */
  #hopeless = false;

  constructor(pinned: Pinned = {}) {
    this.#pinned = pinned;
  }

  /** The next line, without its newline. */
  line(text: string): void {
    this.#line++;
    if (this.#hopeless) return;
    if (this.#header === undefined) return this.#start(text);
    if (this.#entry !== undefined) {
      if (text.startsWith('{"event":')) return this.#event(this.#entry, text);
      this.#problem('events_missing', `it counts ${this.#entry.events} events and has ${this.#texts.length}`);
      this.#broken = true;
      this.#finishEntry(this.#entry);
    }
    const line = this.#ended ? undefined : parseExportLine(text);
    if (line?.kind === 'entry') this.#startEntry(line);
    else if (line?.kind === 'seal') this.#seal(line);
    else if (line?.kind === 'end') this.#end(line);
    else this.#problem('unreadable', this.#ended ? 'it comes after the end' : 'it is not a line that can stand here');
  }

  /** `complete: false` when bytes followed the last newline, or a line could not be read (contracts/lines.ts). */
  finish(complete = true): VerificationReport {
    if (this.#header === undefined && !this.#hopeless) this.#problem('not_an_export', 'it is empty');
    if (!this.#hopeless && !this.#ended) this.#problem('truncated', complete ? 'the last line of an export is missing' : 'after it comes half a line, one that is not UTF-8, or one that is too long');
    else if (!complete) this.#problem('unreadable', 'it does not end with its last line');
    const { size } = this.#frontier;
    for (const [at, pins] of this.#pinnedHeads) {
      if (at > size) for (const { where } of pins) this.#problem('truncated', `that seal is of ${at} entries, the export has ${size}`, where);
    }
    if (size > 0 && this.#sealed === 0) this.#problem('unsealed', 'it holds no valid seal, so nothing in it is signed', 'the export');
    return {
      ok: this.#problems.length === 0,
      entries: size, events: this.#events, shredded: this.#shredded, seals: this.#seals, sealed: this.#sealed,
      head: { size, root: this.#root() },
      origin: this.#header?.origin, incarnation: this.#header?.incarnation,
      key: this.#key === undefined ? undefined : formatVerifierKey(this.#key),
      trusted_key: this.#key !== undefined && this.#key === this.#pinned.key,
      problems: this.#problems, problems_omitted: this.#omitted,
    };
  }

  #start(text: string): void {
    const header = parseExportLine(text);
    const own = header?.kind === 'sallyport.export' ? parseVerifierKey(header.public_key) : undefined;
    if (header?.kind !== 'sallyport.export' || own === undefined) {
      this.#hopeless = true;
      return this.#problem('not_an_export', 'it does not begin with the header of an export');
    }
    this.#header = header;
    this.#headerDigest = sha256Hex(text);
    this.#key = this.#pinned.key ?? own;
    if (formatVerifierKey(this.#key) !== header.public_key) this.#problem('key_mismatch', 'the export names another key than the pinned one');
    if (this.#key.name !== header.origin) this.#problem('key_mismatch', `the export is of ${header.origin}, the key of ${this.#key.name}`);
    for (const [index, note] of (this.#pinned.seals ?? []).entries()) {
      const where = `pinned seal ${index + 1}`;
      const verified = verifySeal(note, this.#key);
      if (verified.ok) this.#pinnedHeads.set(verified.head.size, [...this.#pinnedHeads.get(verified.head.size) ?? [], { head: verified.head, where }]);
      else this.#problem('seal_invalid', verified.reason, where);
    }
    this.#comparePinned();
  }

  #startEntry(entry: ExportEntry): void {
    this.#entry = entry;
    this.#broken = false;
    if (entry.index !== this.#frontier.size) this.#problem('entry_moved', `it says that it is entry ${entry.index}`);
    if (entry.entry.kind === 'segment') this.#follow(entry.entry.journal_id, entry.entry.sequence);
    if (entry.events === 0) this.#finishEntry(entry);
  }

  #follow(journal: string, sequence: number): void {
    const last = this.#journals.get(journal);
    if (last !== undefined && sequence !== last + 1) this.#problem('journal_gap', `segment ${sequence} of ${journal} comes after segment ${last}`);
    if (last !== undefined || this.#journals.size < journalsMax) this.#journals.set(journal, sequence);
    else this.#problem('unreadable', `more than ${journalsMax} journals`);
  }

  #event(entry: ExportEntry, text: string): void {
    const parts = splitBodyLine(text);
    if (parts === undefined) {
      this.#problem('event_changed', `event ${this.#texts.length} does not have the payload that it names`);
      this.#broken = true;
    } else if (parts.shredded) {
      this.#shredded++;
    }
    this.#texts.push(parts?.event ?? '');
    if (this.#texts.length === entry.events) this.#finishEntry(entry);
  }

  #finishEntry(entry: ExportEntry): void {
    const leaf = leafHash(leafText(entry.entry, this.#texts.join(',')));
    // One place is told for one change: an event that was named already is why the leaf differs.
    if (!this.#broken && Buffer.from(leaf).toString('hex') !== entry.leaf) this.#problem('entry_changed', 'its events do not give its leaf');
    this.#events += this.#texts.length;
    this.#texts = [];
    this.#entry = undefined;
    this.#frontier = append(this.#frontier, Uint8Array.from(Buffer.from(entry.leaf, 'hex')));
    this.#comparePinned();
  }

  #seal(line: ExportSeal): void {
    this.#seals++;
    const verified = verifySeal(line.note, this.#key!);
    if (!verified.ok) return this.#problem('seal_invalid', verified.reason);
    const { head } = verified;
    const root = Buffer.from(head.root).toString('hex');
    if (head.size !== line.size || root !== line.root || head.incarnation !== line.incarnation || head.at !== line.at) {
      return this.#problem('seal_invalid', 'it says something else than its note');
    }
    if (head.size !== this.#frontier.size) return this.#problem('seal_moved', `it is of ${head.size} entries and stands after ${this.#frontier.size}`);
    if (root !== this.#root()) return this.#problem('history_rewritten', `the first ${head.size} entries are not those that were sealed`);
    const { incarnation } = head;
    if (incarnation !== this.#incarnations.at(-1)) {
      if (this.#incarnations.includes(incarnation)) this.#problem('incarnation_returned', `${incarnation} was followed by another before`);
      this.#incarnations.push(incarnation);
    }
    this.#sealed = head.size;
  }

  #end(line: ExportEnd): void {
    this.#ended = true;
    const { entries, events, seals, root, header } = line;
    const same = entries === this.#frontier.size && events === this.#events && seals === this.#seals && root === this.#root() && header === this.#headerDigest;
    if (!same) this.#problem('end_mismatch', `it counts ${entries} entries, ${events} events and ${seals} seals of another root or header than these`);
  }

  #comparePinned(): void {
    for (const { head, where } of this.#pinnedHeads.get(this.#frontier.size) ?? []) {
      if (Buffer.from(head.root).toString('hex') !== this.#root()) {
        this.#problem('history_rewritten', `the first ${head.size} entries are not those that this seal is of`, where);
      }
    }
  }

  #root(): string {
    return Buffer.from(rootOf(this.#frontier)).toString('hex');
  }

  #problem(code: VerificationCode, message: string, where?: string): void {
    if (this.#problems.length >= problemsMax) this.#omitted++;
    else this.#problems.push({ code, where: where ?? `line ${this.#line}, entry ${this.#frontier.size}`, message });
  }
}

/** Verifies lines that are at hand; for a file use `ExportVerifier` with `LineSplitter`. */
export function verifyExport(lines: Iterable<string>, pinned: Pinned = {}): VerificationReport {
  const verifier = new ExportVerifier(pinned);
  for (const line of lines) verifier.line(line);
  return verifier.finish();
}
