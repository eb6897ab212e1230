import { sql, type Kysely, type Transaction } from 'kysely';
import { firstPrevious } from '../../contracts/journal.ts';
import type { Tables } from '../database/tables.ts';

type Trx = Transaction<Tables>;

export interface Journal {
  readonly next_sequence: number;
  readonly last_digest: string;
}

/** A journal that is not known yet starts before its first segment. */
export async function registerJournal(trx: Trx, journal_id: string, at: number): Promise<void> {
  await trx.insertInto('journals').values({ journal_id, next_sequence: 0, last_digest: firstPrevious, updated_at: at })
    .onConflict((conflict) => conflict.column('journal_id').doNothing()).execute();
}

/**
 * The journal's row, made where it is not known yet, for one segment at a time. A draw holds the row only against its closing (`for key share`), so that draws
 * don't wait for the ingest of a large segment: `closing` is what shuts them out.
 */
export async function lockJournal(trx: Trx, journal_id: string, closing: boolean, at: number): Promise<Journal> {
  const query = trx.selectFrom('journals').select(['next_sequence', 'last_digest']).where('journal_id', '=', journal_id);
  const locking = closing ? query.forUpdate() : query.forNoKeyUpdate();
  const known = await locking.executeTakeFirst();
  if (known !== undefined) return known;
  await registerJournal(trx, journal_id, at);
  return await locking.executeTakeFirstOrThrow();
}

/** `undefined` where the journal is not known. */
export async function holdOpen(trx: Trx, journal_id: string): Promise<{ readonly closed: boolean } | undefined> {
  return await trx.selectFrom('journals').select('closed').where('journal_id', '=', journal_id).forKeyShare().executeTakeFirst();
}

export async function advanceJournal(trx: Trx, journal_id: string, next: Journal & { readonly closed?: true }, at: number): Promise<void> {
  await trx.updateTable('journals').set({ ...next, updated_at: at }).where('journal_id', '=', journal_id).execute();
}

export async function selectSegmentDigest(trx: Trx, journal_id: string, sequence: number): Promise<string | undefined> {
  const row = await trx.selectFrom('entries').select('digest').where('journal_id', '=', journal_id).where('sequence', '=', sequence).executeTakeFirst();
  return row?.digest ?? undefined;
}

/** Moves each journal to the last of its segments that a seal of `size` covers; `from` is the size of the seal before. */
export async function markSealed(trx: Trx, from: number, size: number): Promise<void> {
  await sql`
    update journals j set sealed_through = covered.through, sealed_at_size = ${size}::int8
    from (
      select journal_id, max(sequence) as through from entries
      where kind = 'segment' and position >= ${from}::int8 and position < ${size}::int8
      group by journal_id
    ) as covered
    where j.journal_id = covered.journal_id and j.sealed_through < covered.through`.execute(trx);
}

/** Newest first: those that a seal after the one of size `after` has moved. */
export async function selectSealed(database: Kysely<Tables>, after: number, limit: number): Promise<readonly { readonly journal_id: string; readonly through: number }[]> {
  return await database.selectFrom('journals').select(['journal_id', 'sealed_through as through'])
    .where('sealed_at_size', '>', after).where('sealed_through', '>=', 0)
    .orderBy('sealed_at_size', 'desc').limit(limit).execute();
}

/** Of all journals that are known. */
export async function countSegments(database: Kysely<Tables>): Promise<number> {
  const row = await database.selectFrom('journals').select((eb) => eb.fn.sum<string | number | null>('next_sequence').as('segments')).executeTakeFirst();
  return Number(row?.segments ?? 0);
}
