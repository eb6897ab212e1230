import type { Transaction } from 'kysely';
import { leafOf, makeEntry, saltBytes, type EntryHeader } from '../../contracts/entry.ts';
import type { Event } from '../../contracts/event.ts';
import { newId } from '../../contracts/ids.ts';
import type { Random } from '../access/rules.ts';
import type { Tables } from '../database/tables.ts';
import { addActivity, completeEvents, insertEvents } from './event-store.ts';
import { project, rowOf } from './projection.ts';
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
  await insert(trx, header, { at, events, random }, undefined);
  await insertEvents(trx, header.entry_id, events.map((event) => rowOf(event)));
}

export interface SegmentRecording extends Recording {
  readonly journal_id: string;
  readonly sequence: number;
  readonly digest: string;
}

/** A journal segment: one entry; one row for each exchange, whichever segment its completion comes in. */
export async function recordSegment(trx: Trx, segment: SegmentRecording): Promise<void> {
  const { at, events, journal_id, sequence, digest } = segment;
  const header: EntryHeader = { v: 1, kind: 'segment', entry_id: newId('entry', at), journal_id, sequence };
  await insert(trx, header, segment, { journal_id, sequence, digest });
  const projection = project(events);
  await insertEvents(trx, header.entry_id, projection.rows);
  const found = await completeEvents(trx, header.entry_id, projection.completions);
  await insertEvents(trx, header.entry_id, projection.completions.filter(({ egress_id }) => !found.has(egress_id)).map(({ event }) => rowOf(event)));
  await addActivity(trx, projection.activity);
}

/** Salts are made here, where they are stored: a proxy's journal needs none. */
async function insert(trx: Trx, header: EntryHeader, { at, events, random }: Recording, segment: { readonly journal_id: string; readonly sequence: number; readonly digest: string } | undefined): Promise<void> {
  const entry = makeEntry(header, events, () => random(saltBytes).toString('hex'));
  await insertEntry(trx, {
    entry_id: header.entry_id,
    kind: header.kind,
    leaf: Buffer.from(leafOf(entry)).toString('hex'),
    body: entry.body,
    events: events.length,
    recorded_at: at,
    segment,
  });
}
