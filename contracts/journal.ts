/**
 * A journal segment on disk and on the wire: newline-delimited JSON.
 *
 *   line 1      {"v":1,"journal_id","sequence","previous","opened_at"}      SegmentHeader
 *   lines 2..n  one Event each
 *   last line   {"end":true,"records":n-1,"digest"}                         SegmentFooter, once closed
 *
 * `digest` is the hex SHA-256 of all bytes before the footer line, newlines included; `previous` is the digest of the
 * segment before it (64 zeros for the first, sequence 0), so a journal is a hash-linked list. A worker that crashed leaves
 * a segment without footer and perhaps with half a last line: nobody got a receipt for half a line, so it is dropped.
 */
export interface SegmentHeader {
  readonly v: 1;
  readonly journal_id: string;
  readonly sequence: number;
  readonly previous: string;
  readonly opened_at: number;
}

export interface SegmentFooter {
  readonly end: true;
  readonly records: number;
  readonly digest: string;
}

export const firstPrevious = '0'.repeat(64);

/** A segment is closed after this many records or milliseconds, whichever comes first. */
export const segmentMaxRecords = 1000;
/** Of one record; a redacted exchange has about 1 KiB. A larger one is refused by the journal already, since a segment that holds it is never taken. */
export const recordMaxBytes = 64 * 1024;
export const segmentMaxAgeMs = 1000;

/** Whether a record, without its newline, is small enough to be taken. */
export function fitsRecord(line: string): boolean {
  // No UTF-16 unit takes more than three bytes, so most need not be counted.
  return line.length * 3 <= recordMaxBytes || Buffer.byteLength(line) <= recordMaxBytes;
}
