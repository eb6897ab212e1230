import type { Transaction } from 'kysely';
import { makeEntry, saltBytes, type EntryHeader, type NewEntry } from '../../contracts/entry.ts';
import type { Event } from '../../contracts/event.ts';
import { newId } from '../../contracts/ids.ts';
import type { Random } from '../access/rules.ts';
import type { Tables } from '../database/tables.ts';
import { addActivity, completeEvents, insertEvents } from './event-store.ts';
import { pack } from './packed-body.ts';
import { project, rowOf, type Projection } from './projection.ts';
import { insertEntry } from './store.ts';

type Trx = Transaction<Tables>;

export interface Recording {
  readonly at: number;
  readonly events: readonly Event[];
  readonly random: Random;
}

/** The events of one control-plane transaction: one entry, one row each. */
export async function recordTransaction(trx: Trx, { at, events, random }: Recording): Promise<void> {
  const header: EntryHeader = { v: 1, kind: 'transaction', entry_id: newId('entry', at) };
  const { body, leaf } = salted(header, events, random);
  await insertEntry(trx, { entry_id: header.entry_id, kind: header.kind, leaf: hexOf(leaf), body, packed: null, events: events.length, recorded_at: at });
  await insertEvents(trx, header.entry_id, events.map((event, line) => rowOf(event, line)));
}

interface SegmentName {
  readonly journal_id: string;
  readonly sequence: number;
  readonly digest: string;
}

/** All of a journal segment that can be made without the database: what takes time holds up no other transaction. */
export interface PreparedSegment {
  readonly segment: SegmentName;
  readonly entry_id: string;
  readonly leaf: string;
  readonly packed: Buffer;
  readonly events: number;
  readonly projection: Projection;
}

export async function prepareSegment(segment: SegmentName, { at, events, random }: Recording): Promise<PreparedSegment> {
  const { journal_id, sequence } = segment;
  const entry_id = newId('entry', at);
  const { body, leaf } = salted({ v: 1, kind: 'segment', entry_id, journal_id, sequence }, events, random);
  const packing = pack(body);
  const projection = project(events);
  return { segment, entry_id, leaf: hexOf(leaf), packed: await packing, events: events.length, projection };
}

/** A journal segment: one entry; one row for each exchange, whichever segment its completion comes in. */
export async function recordSegment(trx: Trx, { projection, entry_id, ...entry }: PreparedSegment, at: number): Promise<void> {
  await insertEntry(trx, { ...entry, entry_id, kind: 'segment', body: null, recorded_at: at });
  await insertEvents(trx, entry_id, projection.rows);
  const found = await completeEvents(trx, entry_id, projection.completions);
  await insertEvents(trx, entry_id, projection.completions.filter(({ egress_id }) => !found.has(egress_id)).map(({ event, line }) => rowOf(event, line)));
  await addActivity(trx, projection.activity);
}

const hexOf = (hash: Uint8Array): string => Buffer.from(hash).toString('hex');

/** Salts are made here, where they are stored: a proxy's journal needs none. All at once: each call of the system costs 5 us. */
function salted(header: EntryHeader, events: readonly Event[], random: Random): NewEntry {
  const salts = random(saltBytes * events.length).toString('hex');
  let next = 0;
  return makeEntry(header, events, () => {
    const salt = salts.slice(next, next + 2 * saltBytes);
    next += 2 * saltBytes;
    return salt;
  });
}
