import { createHash } from 'node:crypto';
import { open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { firstPrevious, type SegmentFooter, type SegmentHeader } from '../../contracts/journal.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { OpenName } from './open-exchanges.ts';
import { readJournalState, writeJournalState } from './journal-state.ts';
import { segmentName, sequenceOf } from './segment-file.ts';

export interface RecoveredSegment {
  readonly journal_id: string;
  readonly sequence: number;
  readonly path: string;
  readonly bytes: number;
}

export interface RecoveredJournal {
  readonly journal_id: string;
  readonly folder: string;
  readonly segments: readonly RecoveredSegment[];
  /** Whether it had not been ended in order. */
  readonly crashed: boolean;
}

/** A line of `journal.recovered`. */
export type DescribeRecovery = (journalId: string, open: readonly OpenName[]) => string;

/**
 * Ends a journal that another worker left: half a last line is dropped (nobody got a receipt for it), what was open is written
 * down, and the last segment is closed, so that it can be shipped like any other. Interrupted itself, it is done again: every step
 * leaves a journal that reads the same.
 */
export async function recoverJournal(folder: string, journalId: string, describe: DescribeRecovery): Promise<RecoveredJournal> {
  const state = await readJournalState(folder) ?? { through: -1, digest: firstPrevious, closed: false, open: [] };
  const sequences = (await readdir(folder)).map(sequenceOf).filter((sequence) => sequence !== undefined && sequence > state.through) as number[];
  sequences.sort((a, b) => a - b);
  const path = (sequence: number): string => join(folder, segmentName(sequence));

  if (!state.closed) {
    const exchanges = new Map(state.open.map((exchange) => [exchange.egress_id, exchange.run_id]));
    let previous = state.digest;
    let unfinished: Unfinished | undefined;
    let recovered = false;
    for (const [index, sequence] of sequences.entries()) {
      if (sequence !== state.through + 1 + index) throw damaged(path(sequence), 'a segment before it is missing');
      const bytes = await readFile(path(sequence));
      const read = readSegment(bytes, (egressId, runId) => exchanges.set(egressId, runId), (egressId) => exchanges.delete(egressId));
      if (read.digest !== undefined) {
        previous = read.digest;
        recovered = read.recovered;
        continue;
      }
      if (index !== sequences.length - 1) throw damaged(path(sequence), 'it has no end although another follows it');
      unfinished = { sequence, kept: bytes.subarray(0, read.whole), records: read.records };
    }
    // A crash between the creation of a file and its first write leaves one without a single record.
    if (unfinished !== undefined && unfinished.records === 0) {
      await unlink(path(unfinished.sequence));
      sequences.pop();
      unfinished = undefined;
    }
    // A recovery that was itself cut short may have come as far as this.
    if (unfinished !== undefined || !recovered) {
      const lines = describeAll(journalId, Array.from(exchanges, ([egress_id, run_id]) => ({ egress_id, run_id })), describe);
      const sequence = unfinished?.sequence ?? state.through + 1 + sequences.length;
      if (unfinished === undefined) sequences.push(sequence);
      await finish(path(sequence), unfinished ?? { sequence, kept: header(journalId, sequence, previous), records: 0 }, lines);
    }
    await writeJournalState(folder, { ...state, closed: true });
  }
  const segments = await Promise.all(sequences.map(async (sequence) => {
    const handle = await open(path(sequence), 'r');
    const { size } = await handle.stat();
    await handle.close();
    return { journal_id: journalId, sequence, path: path(sequence), bytes: size };
  }));
  return { journal_id: journalId, folder, segments, crashed: !state.closed };
}

interface Unfinished {
  readonly sequence: number;
  readonly kept: Buffer;
  readonly records: number;
}

function header(journal_id: string, sequence: number, previous: string): Buffer {
  const line: SegmentHeader = { v: 1, journal_id, sequence, previous, opened_at: Date.now() };
  return Buffer.from(`${JSON.stringify(line)}\n`);
}

/** Exchanges named by one record, some 110 bytes each: a record has a bound, and a worker may have had many thousands open. */
const openPerRecord = 400;

function describeAll(journalId: string, open: readonly OpenName[], describe: DescribeRecovery): readonly string[] {
  const lines = [describe(journalId, open.slice(0, openPerRecord))];
  for (let from = openPerRecord; from < open.length; from += openPerRecord) lines.push(describe(journalId, open.slice(from, from + openPerRecord)));
  return lines;
}

async function finish(path: string, { kept, records }: Unfinished, lines: readonly string[]): Promise<void> {
  const body = Buffer.concat([kept, Buffer.from(`${lines.join('\n')}\n`)]);
  const footer: SegmentFooter = { end: true, records: records + lines.length, digest: createHash('sha256').update(body).digest('hex') };
  const handle = await open(path, 'a+', 0o600);
  try {
    await handle.truncate(kept.length === 0 ? 0 : Math.min(kept.length, (await handle.stat()).size));
    const { size } = await handle.stat();
    await handle.appendFile(Buffer.concat([body.subarray(size), Buffer.from(`${JSON.stringify(footer)}\n`)]));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface ReadSegment {
  /** Set when the segment has its footer. */
  readonly digest: string | undefined;
  /** Bytes up to the end of the last whole record. */
  readonly whole: number;
  readonly records: number;
  /** Whether it says that the journal was recovered. */
  readonly recovered: boolean;
}

const newline = 0x0a;

/**
 * Where our own serialisation puts them (egress-events.ts). Quotes inside a JSON string are escaped, so none of these can come
 * from what an agent sent, and `facts` comes before `payload`.
 */
const typePattern = /^\{"v":1,"event_id":"[0-9a-f-]{36}","type":"([a-z.]+)"/;
const egressPattern = /"facts":\{"egress_id":"([^"\\]+)"/;
const runPattern = /"run_id":"([^"\\]+)"/;

function readSegment(bytes: Buffer, onDecided: (egressId: string, runId: string) => void, onEnded: (egressId: string) => void): ReadSegment {
  let from = 0;
  let records = -1;
  let recovered = false;
  for (let to = bytes.indexOf(newline); to !== -1; to = bytes.indexOf(newline, from)) {
    const line = bytes.toString('latin1', from, to);
    if (line.startsWith('{"end":true')) return { digest: (JSON.parse(line) as SegmentFooter).digest, whole: from, records, recovered };
    from = to + 1;
    records++;
    const type = typePattern.exec(line)?.[1];
    if (type === 'journal.recovered') recovered = true;
    if (type === undefined || !type.startsWith('egress.') || type === 'egress.denied' || type === 'egress.retried') continue;
    const egressId = egressPattern.exec(line)?.[1];
    if (egressId === undefined) continue;
    if (type === 'egress.decided') onDecided(egressId, runPattern.exec(line)?.[1] ?? '');
    else onEnded(egressId);
  }
  return { digest: undefined, whole: from, records: Math.max(0, records), recovered };
}

function damaged(path: string, why: string): SallyportError {
  return new SallyportError('data_folder', `The journal segment ${path} cannot be used: ${why}. Move its folder away and keep it for inspection.`);
}
