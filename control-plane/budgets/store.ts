import { sql, type Kysely, type Transaction } from 'kysely';
import type { SpendableMeter } from '../../contracts/budget.ts';
import type { DrawAnswer } from '../../contracts/data-plane.ts';
import { toJson } from '../database/codec.ts';
import type { Tables } from '../database/tables.ts';
import type { LastRecall } from './recall-rules.ts';
import { sliceDivisor, type Allowance, type BalanceRow, type Settlement } from './rules.ts';

type Trx = Transaction<Tables>;

export async function insertBalances(trx: Trx, run_id: string, rows: readonly Pick<BalanceRow, 'meter' | 'limit_units'>[]): Promise<void> {
  await trx.insertInto('balances').values(rows.map((row) => ({ run_id, ...row }))).execute();
}

export async function selectBalances(database: Kysely<Tables>, run_ids: readonly string[]): Promise<readonly BalanceRow[]> {
  if (run_ids.length === 0) return [];
  return await database.selectFrom('balances').select(['run_id', 'meter', 'limit_units', 'used', 'reserved'])
    .where('run_id', 'in', run_ids).orderBy('meter').execute();
}

export interface Want {
  readonly meter: SpendableMeter;
  readonly wanted: number;
  /** The most that is given beyond `wanted`. */
  readonly cap: number;
}

/**
 * Takes min(available, max(wanted, min(cap, available / 4))) of each meter, in one statement: `for update` reads the row as it is once
 * locked, so two draws never see the same units. `least` passes over null, which is an unlimited meter.
 */
export async function reserve(trx: Trx, run_id: string, wants: readonly Want[]): Promise<readonly { readonly meter: SpendableMeter; readonly units: number }[]> {
  const { rows } = await sql<{ meter: SpendableMeter; units: number }>`
    with wants as (
      select * from jsonb_to_recordset(${toJson(wants)}::jsonb) as w(meter text, wanted int8, cap int8)
    ), locked as (
      select b.meter, w.wanted, w.cap, b.limit_units - b.used - b.reserved as available
      from balances b join wants w on w.meter = b.meter
      where b.run_id = ${run_id}
      order by b.meter
      for update of b
    ), grants as (
      select meter, least(
        greatest(wanted, least(cap, available / ${sql.lit(sliceDivisor)})),
        case when available < 0 then 0 else available end
      ) as units
      from locked
    )
    update balances b set reserved = b.reserved + g.units
    from grants g
    where b.run_id = ${run_id} and b.meter = g.meter
    returning b.meter, g.units`.execute(trx);
  return rows;
}

export async function findDraw(database: Kysely<Tables>, draw_id: string): Promise<DrawAnswer | undefined> {
  return (await database.selectFrom('draws').select('answer').where('draw_id', '=', draw_id).executeTakeFirst())?.answer;
}

export interface DrawRow {
  readonly draw_id: string;
  readonly journal_id: string;
  readonly run_id: string;
  readonly at: number;
}

/** In one statement. Throws on `draws_pkey` when the same draw was made before, or at the same moment. */
export async function insertDraw(trx: Trx, draw: DrawRow, answer: DrawAnswer, grants: readonly { readonly meter: SpendableMeter; readonly units: number }[]): Promise<void> {
  const { draw_id, journal_id, run_id, at } = draw;
  await sql`
    with grants as (
      select meter, units from jsonb_to_recordset(${toJson(grants)}::jsonb) as g(meter text, units int8) where units > 0
    ), drawn as (
      insert into allowances (journal_id, run_id, meter, drawn)
      select ${journal_id}::text, ${run_id}::text, meter, units from grants order by meter
      on conflict (journal_id, run_id, meter) do update set drawn = allowances.drawn + excluded.drawn
    ), reserved as (
      insert into ledger (at, kind, run_id, meter, units, journal_id, reference)
      select ${at}::int8, 'reserve', ${run_id}::text, meter, units, ${journal_id}::text, ${draw_id}::text from grants
    )
    insert into draws (draw_id, journal_id, run_id, at, answer)
    values (${draw_id}, ${journal_id}, ${run_id}, ${at}, ${toJson(answer)}::jsonb)`.execute(trx);
}

export async function deleteDrawsBefore(database: Kysely<Tables>, at: number): Promise<void> {
  await database.deleteFrom('draws').where('at', '<', at).execute();
}

interface LedgerRow {
  readonly at: number;
  readonly kind: 'reserve' | 'settle' | 'release' | 'grant';
  readonly run_id: string;
  readonly meter: BalanceRow['meter'];
  readonly units: number;
  readonly journal_id: string | null;
  readonly reference: string;
}

export async function insertLedger(trx: Trx, rows: readonly LedgerRow[]): Promise<void> {
  if (rows.length > 0) await trx.insertInto('ledger').values(rows).execute();
}

type RunAndMeter = { readonly run_id: string; readonly meter: SpendableMeter };

/** Balances before allowances, as a draw takes them: the other way round the two would lock each other out. */
export async function lockBalances(trx: Trx, rows: readonly RunAndMeter[]): Promise<void> {
  await sql`
    select 1 from balances b
    join jsonb_to_recordset(${toJson(rows)}::jsonb) as m(run_id text, meter text) on m.run_id = b.run_id and m.meter = b.meter
    order by b.run_id, b.meter
    for update of b`.execute(trx);
}

/** What the journal holds, of all its runs. */
export async function selectAllowances(trx: Trx, journal_id: string): Promise<readonly Allowance[]> {
  return await allowancesOf(trx, journal_id).execute();
}

/** What the journal holds of these runs; the balances are locked before. */
export async function lockAllowances(trx: Trx, journal_id: string, run_ids: readonly string[]): Promise<readonly Allowance[]> {
  return await allowancesOf(trx, journal_id).where('run_id', 'in', run_ids).forUpdate().execute();
}

function allowancesOf(trx: Trx, journal_id: string) {
  return trx.selectFrom('allowances')
    .select(['run_id', 'meter', sql<number>`drawn - settled - returned`.as('outstanding')])
    .where('journal_id', '=', journal_id)
    .where(sql<boolean>`drawn > settled + returned`)
    .orderBy('run_id').orderBy('meter');
}

/** Gives the balances that moved, as they are now. */
export async function applySettlements(trx: Trx, journal_id: string, settlements: readonly Settlement[]): Promise<readonly BalanceRow[]> {
  const rows = toJson(settlements);
  await sql`
    update allowances a set settled = a.settled + m.covered, returned = a.returned + m.released
    from jsonb_to_recordset(${rows}::jsonb) as m(run_id text, meter text, covered int8, released int8)
    where a.journal_id = ${journal_id} and a.run_id = m.run_id and a.meter = m.meter`.execute(trx);
  const moved = await sql<BalanceRow>`
    update balances b set used = b.used + m.spent, reserved = b.reserved - m.covered - m.released
    from jsonb_to_recordset(${rows}::jsonb) as m(run_id text, meter text, spent int8, covered int8, released int8)
    where b.run_id = m.run_id and b.meter = m.meter
    returning b.run_id, b.meter, b.limit_units, b.used, b.reserved`.execute(trx);
  return moved.rows;
}

/** Whether proxies still hold units of the run. */
export async function hasOutstanding(database: Kysely<Tables>, run_id: string): Promise<boolean> {
  const row = await database.selectFrom('allowances').select('journal_id')
    .where('run_id', '=', run_id).where(sql<boolean>`drawn > settled + returned`).limit(1).executeTakeFirst();
  return row !== undefined;
}

interface HolderRow {
  readonly journal_id: string;
  readonly drawn: number;
  readonly outstanding: number;
  readonly recall: number;
  readonly recalled_at: number;
  readonly answered: number;
}

/** The last recall of the meter, and what each journal has drawn. The caller has locked the balance, so nothing moves. */
export async function selectHolders(trx: Trx, run_id: string, meter: SpendableMeter): Promise<{ readonly last: LastRecall; readonly holders: readonly HolderRow[] }> {
  const last = await trx.selectFrom('balances').select(['recall', 'recalled_at as at', 'recalled_drawn as drawn'])
    .where('run_id', '=', run_id).where('meter', '=', meter).executeTakeFirstOrThrow();
  const holders = await trx.selectFrom('allowances')
    .select(['journal_id', 'drawn', sql<number>`drawn - settled - returned`.as('outstanding'), 'recall', 'recalled_at', 'answered'])
    .where('run_id', '=', run_id).where('meter', '=', meter).execute();
  return { last, holders };
}

/** Begins the next recall of the meter: asks these journals. */
export async function insertRecall(trx: Trx, run_id: string, meter: SpendableMeter, { recall, at, drawn }: LastRecall, journal_ids: readonly string[]): Promise<void> {
  await trx.updateTable('balances').set({ recall, recalled_at: at, recalled_drawn: drawn }).where('run_id', '=', run_id).where('meter', '=', meter).execute();
  await trx.updateTable('allowances').set({ recall, recalled_at: at })
    .where('run_id', '=', run_id).where('meter', '=', meter).where('journal_id', 'in', journal_ids).execute();
}

export interface OpenRecall {
  readonly journal_id: string;
  readonly run_id: string;
  readonly meter: SpendableMeter;
  readonly recall: number;
}

/** What these journals have been asked back and have not answered; nothing of which they hold nothing any more. */
export async function selectOpenRecalls(database: Kysely<Tables>, journal_ids: readonly string[], limit: number): Promise<readonly OpenRecall[]> {
  if (journal_ids.length === 0) return [];
  return await database.selectFrom('allowances').select(['journal_id', 'run_id', 'meter', 'recall'])
    .where('journal_id', 'in', journal_ids).where(sql<boolean>`recall > answered`).where(sql<boolean>`drawn > settled + returned`)
    .orderBy('recalled_at', 'desc').limit(limit).execute();
}

/** Marks recalls as answered; gives the meters of those that were not before. The caller has locked their balances. */
export async function answerRecalls(trx: Trx, journal_id: string, run_id: string, answers: readonly { readonly meter: SpendableMeter; readonly recall: number }[]): Promise<readonly SpendableMeter[]> {
  const { rows } = await sql<{ meter: SpendableMeter }>`
    update allowances a set answered = m.recall
    from jsonb_to_recordset(${toJson(answers)}::jsonb) as m(meter text, recall int8)
    where a.journal_id = ${journal_id} and a.run_id = ${run_id} and a.meter = m.meter and a.answered < m.recall and a.recall >= m.recall
    returning a.meter`.execute(trx);
  return rows.map(({ meter }) => meter);
}
