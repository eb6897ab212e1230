import type { Kysely, Transaction } from 'kysely';
import type { SealLine } from '../../contracts/seal.ts';
import type { Tables } from '../database/tables.ts';

export async function insertSeal(trx: Transaction<Tables>, seal: SealLine): Promise<void> {
  await trx.insertInto('seals').values(seal).execute();
}

export async function selectLastSeal(database: Kysely<Tables>): Promise<SealLine | undefined> {
  return await database.selectFrom('seals').select(['at', 'size', 'root', 'incarnation', 'note']).orderBy('seal_id', 'desc').limit(1).executeTakeFirst();
}

/** In order of size, those of trees up to `size`; from the one after `after` on. */
export async function selectSeals(
  database: Kysely<Tables>, size: number, after: { readonly size: number; readonly seal_id: number }, limit: number,
): Promise<readonly (SealLine & { readonly seal_id: number })[]> {
  return await database.selectFrom('seals').select(['seal_id', 'at', 'size', 'root', 'incarnation', 'note'])
    .where('size', '<=', size)
    .where((eb) => eb(eb.refTuple('size', 'seal_id'), '>', eb.tuple(after.size, after.seal_id)))
    .orderBy('size').orderBy('seal_id').limit(limit).execute();
}

/** When a run last moved, by the events: `undefined` before the first. */
export async function selectLastTransition(database: Kysely<Tables>): Promise<number | undefined> {
  const row = await database.selectFrom('events').select('at').where('type', '=', 'run.transitioned').where('egress_id', 'is', null).orderBy('event_id', 'desc').limit(1).executeTakeFirst();
  return row?.at;
}
