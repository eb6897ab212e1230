import type { Transaction } from 'kysely';
import type { Tables } from '../database/tables.ts';

export async function insertSession(trx: Transaction<Tables>, session: { readonly session_id: string; readonly created_at: number }): Promise<void> {
  await trx.insertInto('sessions').values(session).execute();
}

/** Whether it was there, and free to be locked now where `skipLocked`. */
export async function lockSession(trx: Transaction<Tables>, session_id: string, skipLocked: boolean): Promise<boolean> {
  const query = trx.selectFrom('sessions').select('session_id').where('session_id', '=', session_id).forUpdate();
  return await (skipLocked ? query.skipLocked() : query).executeTakeFirst() !== undefined;
}
