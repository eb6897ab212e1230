import { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';
import { sha256Hex } from './digest.ts';
import type { Entry, EntryHeader } from './entry.ts';
import type { JsonValue } from './json.ts';
import { append, emptyFrontier, rootOf, type Hash } from './merkle-tree.ts';
import type { SealLine } from './seal.ts';

/**
 * An export of the chain: lines of canonical JSON (RFC 8785), each ended by a newline.
 *
 *   {"kind":"sallyport.export", ...}   ExportHeader, the first line
 *   {"kind":"entry", ...}              ExportEntry, followed by as many lines of its body (contracts/entry.ts) as it has `events`
 *   {"kind":"seal", ...}               ExportSeal, right after the entry that makes the tree as large as it says
 *   {"kind":"end", ...}                ExportEnd, the last line: without it the export is a part
 */
export interface ExportHeader {
  readonly v: 1;
  readonly kind: 'sallyport.export';
  readonly origin: string;
  readonly incarnation: string;
  /** A verifier key (contracts/signed-note.ts). Who trusts the export alone trusts this; pin the key to know better. */
  readonly public_key: string;
  readonly created_at: number;
}

export interface ExportEntry {
  readonly kind: 'entry';
  readonly index: number;
  /** Hex; what the events below have to hash to. */
  readonly leaf: string;
  readonly events: number;
  readonly entry: EntryHeader;
}

export interface ExportSeal extends SealLine {
  readonly kind: 'seal';
}

export interface ExportEnd {
  readonly kind: 'end';
  readonly entries: number;
  readonly events: number;
  readonly seals: number;
  /** Hex root of all entries. */
  readonly root: string;
  /** Hex SHA-256 of the first line, without its newline. */
  readonly header: string;
}

export type ExportLine = ExportHeader | ExportEntry | ExportSeal | ExportEnd;

/** Of any line, many times what an event may have (contracts/segment.ts). */
export const exportLineMaxBytes = 1024 * 1024;
const eventsMax = 10_000;

const id = z.string().min(1).max(100);
const count = z.int().min(0);
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);

const entryHeaderSchema = z.discriminatedUnion('kind', [
  z.strictObject({ v: z.literal(1), kind: z.literal('transaction'), entry_id: id }),
  z.strictObject({ v: z.literal(1), kind: z.literal('segment'), entry_id: id, journal_id: id, sequence: count }),
]);

const exportLineSchema: z.ZodType<ExportLine> = z.discriminatedUnion('kind', [
  z.strictObject({ v: z.literal(1), kind: z.literal('sallyport.export'), origin: id, incarnation: id, public_key: z.string().max(400), created_at: count }),
  z.strictObject({ kind: z.literal('entry'), index: count, leaf: hex64, events: count.max(eventsMax), entry: entryHeaderSchema }),
  z.strictObject({ kind: z.literal('seal'), at: count, size: count, root: hex64, incarnation: id, note: z.string().max(16_384) }),
  z.strictObject({ kind: z.literal('end'), entries: count, events: count, seals: count, root: hex64, header: hex64 }),
]);

/** A line that is not of a body; undefined when it is none, or not in its one spelling. */
export function parseExportLine(line: string): ExportLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const parsed = exportLineSchema.safeParse(value);
  return parsed.success && formatExportLine(parsed.data) === line ? parsed.data : undefined;
}

function formatExportLine(line: ExportLine): string {
  return canonicalJson(line as unknown as JsonValue);
}

/** Writes an export piece by piece; each method gives the text to append. Entries and seals come as they are stored. */
export class ExportWriter {
  readonly #header: string;
  #frontier = emptyFrontier;
  #events = 0;
  #seals = 0;

  constructor(header: Omit<ExportHeader, 'v' | 'kind'>) {
    this.#header = formatExportLine({ v: 1, kind: 'sallyport.export', ...header });
  }

  /** How many entries were written: the size at which seals fit now. */
  get size(): number {
    return this.#frontier.size;
  }

  start(): string {
    return `${this.#header}\n`;
  }

  entry(entry: Entry, leaf: Hash): string {
    let events = 0;
    for (let at = entry.body.indexOf('\n'); at >= 0; at = entry.body.indexOf('\n', at + 1)) events++;
    const line: ExportEntry = { kind: 'entry', index: this.#frontier.size, leaf: Buffer.from(leaf).toString('hex'), events, entry: entry.header };
    this.#frontier = append(this.#frontier, leaf);
    this.#events += events;
    return `${formatExportLine(line)}\n${entry.body}`;
  }

  /** A seal of the present size. */
  seal({ at, size, root, incarnation, note }: SealLine): string {
    this.#seals++;
    return `${formatExportLine({ kind: 'seal', at, size, root, incarnation, note })}\n`;
  }

  end(): string {
    const root = Buffer.from(rootOf(this.#frontier)).toString('hex');
    return `${formatExportLine({ kind: 'end', entries: this.size, events: this.#events, seals: this.#seals, root, header: sha256Hex(this.#header) })}\n`;
  }
}
