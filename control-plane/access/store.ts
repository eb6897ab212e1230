import { sql, type Kysely, type Transaction } from 'kysely';
import type { Tables } from '../database/tables.ts';

export interface KeyRow {
  readonly key_id: string;
  readonly sha256: string;
  readonly created_at: number;
}

export async function insertOperatorKey(trx: Transaction<Tables>, key: KeyRow): Promise<void> {
  await trx.insertInto('keys').values({ ...key, kind: 'operator', role: 'admin', revoked_at: null }).execute();
}

/** Any constant: of replicas that start together only one may find no key. */
const firstKeyLock = 5_305_111_871;

export async function lockAndCountOperatorKeys(trx: Transaction<Tables>): Promise<number> {
  await sql`select pg_advisory_xact_lock(${sql.lit(firstKeyLock)})`.execute(trx);
  const { count } = await trx.selectFrom('keys').select((eb) => eb.fn.countAll<number>().as('count'))
    .where('revoked_at', 'is', null).executeTakeFirstOrThrow();
  return count;
}

export async function findOperatorKey(database: Kysely<Tables>, sha256: string): Promise<{ readonly key_id: string } | undefined> {
  return await database.selectFrom('keys').select('key_id').where('sha256', '=', sha256).where('revoked_at', 'is', null).executeTakeFirst();
}
