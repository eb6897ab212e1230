import { sql, type Kysely, type Transaction } from 'kysely';
import type { Tables } from '../database/tables.ts';

type Trx = Transaction<Tables>;

export async function incrementVersion(trx: Trx): Promise<number> {
  const { version } = await trx.updateTable('data_plane_state').set({ version: sql`version + 1` }).returning('version').executeTakeFirstOrThrow();
  return version;
}

export interface DataPlaneState {
  readonly version: number;
  /** Of the active bundle; `undefined` before the first. */
  readonly revision: string | undefined;
  readonly revision_version: number;
}

export async function selectState(database: Kysely<Tables>): Promise<DataPlaneState> {
  const row = await database.selectFrom('data_plane_state').select(['version', 'revision', 'revision_version']).executeTakeFirstOrThrow();
  return { ...row, revision: row.revision ?? undefined };
}

export async function setRevision(trx: Trx, revision: string, revision_version: number): Promise<void> {
  await trx.updateTable('data_plane_state').set({ revision, revision_version }).execute();
}

export interface Connection {
  readonly proxy_id: string;
  /** Random for each stream, so that one that ends late does not end its successor. */
  readonly connection_id: string;
  readonly at: number;
  readonly connected_until: number;
  /** What its worker draws for; one of an older version does not say, and nothing is recalled from it. */
  readonly journal_id: string | undefined;
}

export async function upsertProxy(trx: Trx, { proxy_id, connection_id, at, connected_until, journal_id }: Connection): Promise<void> {
  const row = { connection_id, connected_at: at, connected_until, acknowledged_version: -1, revision: '', journal_id: journal_id ?? null };
  await trx.insertInto('proxies').values({ proxy_id, ...row }).onConflict((conflict) => conflict.column('proxy_id').doUpdateSet(row)).execute();
}

export async function setConnectedUntil(trx: Trx, connection: Omit<Connection, 'at' | 'journal_id'>): Promise<void> {
  await trx.updateTable('proxies').set({ connected_until: connection.connected_until })
    .where('proxy_id', '=', connection.proxy_id).where('connection_id', '=', connection.connection_id).execute();
}

/** Gives false where no such proxy has ever connected. */
export async function setAcknowledged(trx: Trx, proxy_id: string, version: number, revision: string): Promise<boolean> {
  const row = await trx.updateTable('proxies')
    .set({ acknowledged_version: sql`greatest(acknowledged_version, ${version}::int8)`, revision })
    .where('proxy_id', '=', proxy_id).returning('proxy_id').executeTakeFirst();
  return row !== undefined;
}

export async function countAcknowledged(database: Kysely<Tables>, version: number, now: number): Promise<{ readonly connected: number; readonly acknowledged: number }> {
  return await database.selectFrom('proxies').where('connected_until', '>', now)
    .select((eb) => [
      eb.fn.countAll<number>().as('connected'),
      eb.fn.countAll<number>().filterWhere('acknowledged_version', '>=', version).as('acknowledged'),
    ]).executeTakeFirstOrThrow();
}

/** Those of the journals whose worker has a stream open at some replica. */
export async function selectConnectedJournals(trx: Trx, journal_ids: readonly string[], now: number): Promise<readonly string[]> {
  const rows = await trx.selectFrom('proxies').select('journal_id')
    .where('connected_until', '>', now).where('journal_id', 'in', journal_ids).execute();
  return rows.flatMap(({ journal_id }) => journal_id ?? []);
}

export interface ProxyRow {
  readonly proxy_id: string;
  readonly connected_at: number;
  readonly connected_until: number;
  readonly acknowledged_version: number;
  readonly revision: string;
}

export async function selectProxies(database: Kysely<Tables>, limit: number): Promise<readonly ProxyRow[]> {
  return await database.selectFrom('proxies')
    .select(['proxy_id', 'connected_at', 'connected_until', 'acknowledged_version', 'revision'])
    .orderBy('connected_until', 'desc').limit(limit).execute();
}

export async function deleteProxiesBefore(database: Kysely<Tables>, at: number): Promise<void> {
  await database.deleteFrom('proxies').where('connected_until', '<', at).execute();
}
