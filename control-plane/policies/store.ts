import { sql, type Kysely, type Transaction } from 'kysely';
import type { Tables } from '../database/tables.ts';

/** As hex: PGlite serialises a bytea parameter byte by byte, which takes half a second for a bundle. */
export async function insertBundle(trx: Transaction<Tables>, revision: string, body: Uint8Array, created_at: number): Promise<void> {
  const bytes = sql<Buffer>`decode(${Buffer.from(body).toString('hex')}::text, 'hex')`;
  await trx.insertInto('bundles').values({ revision, body: bytes, created_at })
    .onConflict((conflict) => conflict.column('revision').doNothing()).execute();
}

export async function selectBundle(database: Kysely<Tables>, revision: string): Promise<Buffer | undefined> {
  return (await database.selectFrom('bundles').select('body').where('revision', '=', revision).executeTakeFirst())?.body;
}
