import { spendableMeters, type Amounts, type Balances, type SpendableMeter } from '../../contracts/budget.ts';
import type { Draw, DrawAnswer, Return } from '../../contracts/data-plane.ts';
import type { Kysely } from 'kysely';
import type { Change } from '../change.ts';
import { isConflict } from '../database/failures.ts';
import type { Tables } from '../database/tables.ts';
import { makeChange } from '../change.ts';
import type { Services } from '../services.ts';
import { judgeShortage } from './recall-rules.ts';
import { balanceRowsOf, recover, settle, sliceCaps, thresholdsReached, toBalances, type Movement } from './rules.ts';
import {
  answerRecalls, applySettlements, findDraw, hasOutstanding, insertBalances, insertDraw, insertLedger, insertRecall, lockAllowances, lockBalances, reserve, selectAllowances,
  selectBalances, selectHolders, selectOpenRecalls, type OpenRecall,
} from './store.ts';

/** Opens the books of a new run. */
export async function openBudget(change: Change, run_id: string, limits: Amounts): Promise<void> {
  await insertBalances(change.trx, run_id, balanceRowsOf(limits));
  await insertLedger(change.trx, balanceRowsOf(limits).flatMap(({ meter, limit_units }) => limit_units === null ? []
    : [{ at: change.at, kind: 'grant', run_id, meter, units: limit_units, journal_id: null, reference: 'limit' }]));
}

/** Balances as they are in the books, by run. */
export async function balancesOf(database: Kysely<Tables>, run_ids: readonly string[]): Promise<ReadonlyMap<string, Balances>> {
  const rows = await selectBalances(database, run_ids);
  return new Map(run_ids.map((run_id) => [run_id, toBalances(rows.filter((row) => row.run_id === run_id))]));
}

export { hasOutstanding };

/** What a draw has to ask of other slices, in its own transaction. */
interface DrawSurroundings {
  /** Whether the run and the journal may have anything at all. */
  mayDraw(change: Change): Promise<boolean>;
  /** Which of these journals belong to a worker that is connected. */
  connected(change: Change, journal_ids: readonly string[]): Promise<ReadonlySet<string>>;
}

/** Draws an allowance; the same `draw_id` gets the same answer again. */
export async function drawAllowance(services: Services, draw: Draw, surroundings: DrawSurroundings): Promise<DrawAnswer> {
  try {
    return await makeChange(services, (change) => drawInChange(change, draw, surroundings));
  } catch (error) {
    // Sent again after a lost answer, perhaps while the first is still at work: that one counts, and this one is undone.
    const answer = isConflict(error, 'draws_pkey') ? await findDraw(services.database.kysely, draw.draw_id) : undefined;
    if (answer === undefined) throw error;
    return answer;
  }
}

async function drawInChange(change: Change, draw: Draw, surroundings: DrawSurroundings): Promise<DrawAnswer> {
  const { draw_id, journal_id, run_id, wanted, waiting = {} } = draw;
  const wants = spendableMeters.flatMap((meter) => {
    const units = wanted[meter] ?? 0;
    return units === 0 ? [] : [{ meter, wanted: units, cap: sliceCaps[meter] }];
  });
  const may = wants.length > 0 && await surroundings.mayDraw(change);
  const grants = may ? await reserve(change.trx, run_id, wants) : [];
  const granted = Object.fromEntries(wants.map(({ meter }) => [meter, grants.find((grant) => grant.meter === meter)?.units ?? 0]));
  const recalling: SpendableMeter[] = [];
  for (const { meter, wanted: units } of may ? wants : []) {
    // No more than was asked for: whoever says that more is waited for asks again.
    const short = (granted[meter] ?? 0) < Math.min(units, waiting[meter] ?? 0);
    if (short && await recall(change, draw, meter, granted[meter] ?? 0, surroundings)) recalling.push(meter);
  }
  const answer: DrawAnswer = {
    granted,
    exhausted: wants.filter(({ meter, wanted: units }) => (granted[meter] ?? 0) < units && !recalling.includes(meter)).map(({ meter }) => meter),
    ...recalling.length > 0 && { recalling },
    balances: toBalances(await selectBalances(change.trx, [run_id])),
  };
  await insertDraw(change.trx, { draw_id, journal_id, run_id, at: change.at }, answer, grants);
  return answer;
}

/** Asks the other journals for what they hold idle, or finds that they have been asked. Gives whether something may come of it. */
async function recall(change: Change, { journal_id, run_id }: Draw, meter: SpendableMeter, granted: number, { connected }: DrawSurroundings): Promise<boolean> {
  const { last, holders } = await selectHolders(change.trx, run_id, meter);
  const others = holders.filter((holder) => holder.journal_id !== journal_id && holder.outstanding > 0);
  if (others.length === 0) return false;
  const present = await connected(change, others.map((holder) => holder.journal_id));
  const drawn = holders.reduce((sum, holder) => sum + holder.drawn, granted);
  const verdict = judgeShortage(last, drawn, others.map(({ recall: asked, answered, recalled_at, ...holder }) => ({
    ...holder, asked: asked > answered, asked_at: recalled_at, connected: present.has(holder.journal_id),
  })), change.at);
  if (verdict.kind === 'ask') {
    await insertRecall(change.trx, run_id, meter, { recall: last.recall + 1, at: change.at, drawn }, verdict.journals);
    change.signal('runs');
  }
  return verdict.kind !== 'exhausted';
}

/**
 * Takes the answer to recalls. Each counts once, and gives back at most what is outstanding: one that comes after the journal was
 * recovered, which released all of it, changes nothing.
 */
export async function takeReturn(services: Services, { journal_id, run_id, returned, recalls }: Return): Promise<void> {
  const answers = spendableMeters.flatMap((meter) => recalls[meter] === undefined ? [] : [{ run_id, meter, recall: recalls[meter] }]);
  if (answers.length === 0) return;
  await makeChange(services, async (change) => {
    await lockBalances(change.trx, answers);
    const meters = await answerRecalls(change.trx, journal_id, run_id, answers);
    const movements = meters.map((meter) => ({ run_id, meter, spent: 0, returned: returned[meter] ?? 0 })).filter((movement) => movement.returned > 0);
    await settleSegment(change, journal_id, 'recall', movements);
  });
}

/** Of one replica's streams: more are told as soon as some are answered. */
const openRecallsMax = 1_000;

/** What the workers of these journals are still to answer. */
export async function openRecalls(database: Kysely<Tables>, journal_ids: readonly string[]): Promise<readonly OpenRecall[]> {
  return await selectOpenRecalls(database, journal_ids, openRecallsMax);
}

/** Settles what a segment says was spent and given back. `reference` names the segment. */
export async function settleSegment(change: Change, journal_id: string, reference: string, movements: readonly Movement[]): Promise<void> {
  if (movements.length === 0) return;
  await lockBalances(change.trx, movements);
  const allowances = await lockAllowances(change.trx, journal_id, movements.map(({ run_id }) => run_id));
  const settlements = settle(movements, allowances);
  const balances = await applySettlements(change.trx, journal_id, settlements);
  const known = settlements.filter(({ run_id }) => balances.some((balance) => balance.run_id === run_id));
  await insertLedger(change.trx, known.flatMap(({ run_id, meter, spent, released }) => [
    ...spent > 0 ? [{ at: change.at, kind: 'settle' as const, run_id, meter, units: spent, journal_id, reference }] : [],
    ...released > 0 ? [{ at: change.at, kind: 'release' as const, run_id, meter, units: released, journal_id, reference }] : [],
  ]));
  for (const { run_id, meter, limit_units, used } of balances) {
    const spent = movements.find((movement) => movement.run_id === run_id && movement.meter === meter)?.spent ?? 0;
    for (const percent of thresholdsReached(limit_units, used - spent, used)) {
      const facts = { meter, percent, used, limit: limit_units };
      change.record({ type: 'budget.threshold_reached', actor: { kind: 'system', id: 'budgets' }, run_id, facts, payload: {} });
    }
  }
}

/** Settles or releases all that a crashed worker's journal still holds. The caller has closed it, so that nothing more is drawn for it. */
export async function recoverJournal(change: Change, journal_id: string, reference: string, openRuns: ReadonlySet<string>): Promise<void> {
  const held = await selectAllowances(change.trx, journal_id);
  await settleSegment(change, journal_id, reference, recover(held, openRuns));
}
