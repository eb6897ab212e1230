import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { sha256Hex } from './digest.ts';
import { hasEventShape } from './event-shape.ts';
import { eventSchema, type Event } from './event.ts';
import { firstPrevious, recordMaxBytes, segmentMaxRecords, type SegmentFooter, type SegmentHeader } from './journal.ts';

export interface Segment {
  readonly header: SegmentHeader;
  readonly events: readonly Event[];
  /** Hex SHA-256 of header and records: what the footer says, and the next header's `previous`. */
  readonly digest: string;
  /** False for one whose worker ended before it wrote the footer. */
  readonly closed: boolean;
  /** Bytes of half a line at the end, of which nobody has a receipt. Always 0 when closed. */
  readonly dropped_bytes: number;
}

export const segmentMaxBytes = 64 * 1024 * 1024;
/** The worker that closes another's segment adds `journal.recovered` to what may be full: one for every 400 exchanges that were open. */
const recordsMax = segmentMaxRecords + 100;

const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const headerSchema = z.strictObject({
  v: z.literal(1), journal_id: z.string().min(1).max(100), sequence: z.int().min(0), previous: hex64, opened_at: z.int().min(0),
});
const footerSchema = z.strictObject({ end: z.literal(true), records: z.int().min(0), digest: hex64 });

const newline = 0x0a;
const refuse = (reason: string): { readonly ok: false; readonly reason: string } => ({ ok: false, reason });

/** A whole closed segment, byte for byte as a worker writes it. */
export function formatSegment(header: SegmentHeader, events: readonly Event[]): string {
  const text = [header, ...events].map((line) => `${JSON.stringify(line)}\n`).join('');
  const footer: SegmentFooter = { end: true, records: events.length, digest: sha256Hex(text) };
  return `${text}${JSON.stringify(footer)}\n`;
}

/**
 * Reads a segment (contracts/journal.ts) and checks it: UTF-8, header, every record an event, counts, digest, bounds (64 MiB,
 * 64 KiB a record, 1,100 records). `reason` is a clause for a person. Whether it is the next of its journal is for the caller.
 */
export function parseSegment(bytes: Uint8Array): { readonly ok: true; readonly segment: Segment } | { readonly ok: false; readonly reason: string } {
  if (bytes.length > segmentMaxBytes) return refuse(`it is longer than ${segmentMaxBytes} bytes`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let header: SegmentHeader | undefined;
  let footer: SegmentFooter | undefined;
  let whole = 0;
  const events: Event[] = [];
  for (let from = 0, to = buffer.indexOf(newline); to >= 0; from = to + 1, to = buffer.indexOf(newline, from)) {
    const line = header === undefined ? 1 : events.length + 2;
    if (footer !== undefined) return refuse(`line ${line + 1} comes after the end`);
    if (to - from > recordMaxBytes) return refuse(`line ${line} is longer than ${recordMaxBytes} bytes`);
    const value = parseLine(buffer.subarray(from, to));
    if (value === undefined) return refuse(`line ${line} is not JSON in UTF-8`);
    if (header === undefined) {
      const parsed = headerSchema.safeParse(value);
      if (!parsed.success) return refuse('line 1 is not the header of a segment');
      if (parsed.data.sequence === 0 && parsed.data.previous !== firstPrevious) return refuse('the first segment of a journal names one before it');
      header = parsed.data;
    } else if (typeof value === 'object' && value !== null && 'end' in value) {
      const parsed = footerSchema.safeParse(value);
      if (!parsed.success) return refuse(`line ${line} is not the end of a segment`);
      footer = parsed.data;
      continue;
    } else {
      const event = hasEventShape(value) ? value : eventOrReason(value);
      if (typeof event === 'string') return refuse(`line ${line} is not an event: ${event}`);
      if (events.length >= recordsMax) return refuse(`it has more than ${recordsMax} records`);
      events.push(event);
    }
    whole = to + 1;
  }
  if (header === undefined) return refuse('it has no header');
  const digest = sha256Hex(buffer.subarray(0, whole));
  if (footer === undefined) return { ok: true, segment: { header, events, digest, closed: false, dropped_bytes: buffer.length - whole } };
  if (buffer.at(-1) !== newline) return refuse('bytes come after the end');
  if (footer.records !== events.length) return refuse(`its end counts ${footer.records} records, it has ${events.length}`);
  if (footer.digest !== digest) return refuse('its digest is not that of its bytes');
  return { ok: true, segment: { header, events, digest, closed: true, dropped_bytes: 0 } };
}

function eventOrReason(value: unknown): Event | string {
  const parsed = eventSchema.safeParse(value);
  return parsed.success ? parsed.data as Event : z.prettifyError(parsed.error).split('\n')[0]!;
}

function parseLine(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) return undefined;
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    return undefined;
  }
}
