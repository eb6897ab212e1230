import { sql, type Kysely, type Transaction } from 'kysely';
import { toJson } from '../database/codec.ts';
import type { Tables } from '../database/tables.ts';
import type { StoredBody } from './packed-body.ts';

type Trx = Transaction<Tables>;

export interface NewEntry {
  readonly entry_id: string;
  readonly kind: 'transaction' | 'segment';
  readonly leaf: string;
  readonly body: string | null;
  readonly packed: Buffer | null;
  readonly events: number;
  readonly recorded_at: number;
  readonly segment?: { readonly journal_id: string; readonly sequence: number; readonly digest: string } | undefined;
}

export async function insertEntry(trx: Trx, { segment, ...entry }: NewEntry): Promise<void> {
  await trx.insertInto('entries').values({
    ...entry, position: null, journal_id: segment?.journal_id ?? null, sequence: segment?.sequence ?? null, digest: segment?.digest ?? null,
  }).execute();
}

/** The tree's row, locked: whoever numbers entries does so alone. */
export async function lockTree(trx: Trx): Promise<{ readonly size: number; readonly frontier: readonly string[] }> {
  return await trx.selectFrom('tree_state').select(['size', 'frontier']).forUpdate().executeTakeFirstOrThrow();
}

/**
 * Numbers entries that have no position yet, in order of arrival, from `size` on. Never "those above a cursor": an entry of a transaction
 * that began earlier and ended later would be passed over.
 */
export async function numberEntries(trx: Trx, size: number, limit: number): Promise<readonly { readonly position: number; readonly leaf: string }[]> {
  const { rows } = await sql<{ position: number; leaf: string }>`
    with next as (
      select arrival, ${size}::int8 - 1 + row_number() over (order by arrival) as position
      from (select arrival from entries where position is null order by arrival limit ${limit}) as unnumbered
    )
    update entries e set position = next.position from next where e.arrival = next.arrival
    returning e.position, e.leaf`.execute(trx);
  return rows.toSorted((a, b) => a.position - b.position);
}

export async function updateTree(trx: Trx, size: number, frontier: readonly string[]): Promise<void> {
  await trx.updateTable('tree_state').set({ size, frontier: toJson(frontier) }).execute();
}

/** Gives false where the tree was there. */
export async function insertTree(trx: Trx, incarnation: string): Promise<boolean> {
  const row = await trx.insertInto('tree_state').values({ singleton: true, incarnation, size: 0, frontier: toJson([]) })
    .onConflict((conflict) => conflict.column('singleton').doNothing()).returning('size').executeTakeFirst();
  return row !== undefined;
}

export interface Tree {
  readonly incarnation: string;
  readonly size: number;
  readonly frontier: readonly string[];
}

export async function selectTree(database: Kysely<Tables>): Promise<Tree> {
  return await database.selectFrom('tree_state').select(['incarnation', 'size', 'frontier']).executeTakeFirstOrThrow();
}

/** The newest entry there is; those before it that were committed meanwhile may come to be numbered after it. */
export async function selectLastArrival(database: Kysely<Tables>): Promise<number> {
  const row = await database.selectFrom('entries').select('arrival').orderBy('arrival', 'desc').limit(1).executeTakeFirst();
  return row?.arrival ?? 0;
}

/** Whether an entry (that arrived no later) has no place in the tree yet. */
export async function hasUnnumbered(database: Kysely<Tables>, arrival: number = Number.MAX_SAFE_INTEGER): Promise<boolean> {
  const row = await database.selectFrom('entries').select('arrival').where('position', 'is', null).where('arrival', '<=', arrival).limit(1).executeTakeFirst();
  return row !== undefined;
}

export interface EntryRow extends StoredBody {
  readonly position: number;
  readonly entry_id: string;
  readonly kind: 'transaction' | 'segment';
  readonly leaf: string;
  readonly journal_id: string | null;
  readonly sequence: number | null;
}

/** Entries of the tree in order, from a position on; ends at `size`. */
export async function selectEntries(database: Kysely<Tables>, from: number, size: number, limit: number): Promise<readonly EntryRow[]> {
  const rows = await database.selectFrom('entries').select(['position', 'entry_id', 'kind', 'leaf', 'body', 'packed', 'journal_id', 'sequence'])
    .where('position', '>=', from).where('position', '<', size).orderBy('position').limit(limit).execute();
  return rows.map((row) => ({ ...row, position: row.position! }));
}

/** Undefined where there is no such entry. */
export async function selectBody(database: Kysely<Tables>, entry_id: string): Promise<StoredBody | undefined> {
  return await database.selectFrom('entries').select(['body', 'packed']).where('entry_id', '=', entry_id).executeTakeFirst();
}

/** Events in entries from one position to another, the latter excluded. */
export async function countEvents(database: Kysely<Tables>, from: number, to: number): Promise<number> {
  const { events } = await database.selectFrom('entries').where('position', '>=', from).where('position', '<', to)
    .select(sql<number>`coalesce(sum(events), 0)::int8`.as('events')).executeTakeFirstOrThrow();
  return events;
}
