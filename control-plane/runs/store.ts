import { sql, type Kysely, type Selectable, type Transaction } from 'kysely';
import type { RunState } from '../../contracts/run.ts';
import { toJson } from '../database/codec.ts';
import type { RunsTable, Tables } from '../database/tables.ts';
import type { Run } from './rules.ts';

type Trx = Transaction<Tables>;

const live = sql<boolean>`state not in ('Done', 'Failed', 'Cancelled')`;

function toRun(row: Selectable<RunsTable>): Run {
  return {
    ...row,
    reason: row.reason ?? undefined,
    started_at: row.started_at ?? undefined,
    ended_at: row.ended_at ?? undefined,
    exit_code: row.exit_code ?? undefined,
  };
}

function toRow(run: Run) {
  return {
    ...run,
    reason: run.reason ?? null,
    started_at: run.started_at ?? null,
    ended_at: run.ended_at ?? null,
    exit_code: run.exit_code ?? null,
    policy: toJson(run.policy),
    labels: toJson(run.labels),
    limits: toJson(run.limits),
  };
}

/** Gives false, and inserts nothing, when the run is Active and its session has another one that is. */
export async function insertRun(trx: Trx, run: Run): Promise<boolean> {
  const row = await trx.insertInto('runs').values(toRow(run))
    .onConflict((conflict) => conflict.column('session_id').where('state', '=', 'Active').doNothing())
    .returning('run_id').executeTakeFirst();
  return row !== undefined;
}

export type RunChange = Partial<Pick<Run, 'state' | 'reason' | 'started_at' | 'ended_at' | 'deadline_at' | 'lease_expires_at' | 'exit_code' | 'version'>>;

/** What is given as `undefined` becomes null; what is not given stays. */
export async function updateRun(trx: Trx, run_id: string, change: RunChange): Promise<void> {
  const columns = Object.fromEntries(Object.entries(change).map(([name, value]) => [name, value ?? null]));
  await trx.updateTable('runs').set(columns).where('run_id', '=', run_id).execute();
}

export async function lockRun(trx: Trx, run_id: string): Promise<Run | undefined> {
  const row = await trx.selectFrom('runs').selectAll().where('run_id', '=', run_id).forUpdate().executeTakeFirst();
  return row && toRun(row);
}

export async function selectRun(database: Kysely<Tables>, run_id: string): Promise<Run | undefined> {
  const row = await database.selectFrom('runs').selectAll().where('run_id', '=', run_id).executeTakeFirst();
  return row && toRun(row);
}

export async function selectRunByToken(database: Kysely<Tables>, token_sha256: string): Promise<Pick<Run, 'run_id' | 'state'> | undefined> {
  return await database.selectFrom('runs').select(['run_id', 'state']).where('token_sha256', '=', token_sha256).executeTakeFirst();
}

export async function selectDrawState(trx: Trx, run_id: string): Promise<Pick<Run, 'state' | 'epoch'> | undefined> {
  return await trx.selectFrom('runs').select(['state', 'epoch']).where('run_id', '=', run_id).executeTakeFirst();
}

/** The oldest one that waits in the session. */
export async function lockNextQueued(trx: Trx, session_id: string): Promise<Run | undefined> {
  const row = await trx.selectFrom('runs').selectAll().where('session_id', '=', session_id).where('state', '=', 'Queued')
    .orderBy('run_id').limit(1).forUpdate().executeTakeFirst();
  return row && toRun(row);
}

export interface RunFilter {
  readonly run_id?: string | undefined;
  readonly session_id?: string | undefined;
  readonly state?: RunState | undefined;
  /** Runs older than this one. */
  readonly before?: string | undefined;
  readonly limit: number;
}

/** Newest first. */
export async function selectRuns(database: Kysely<Tables>, filter: RunFilter): Promise<readonly Run[]> {
  let query = database.selectFrom('runs').selectAll();
  if (filter.run_id !== undefined) query = query.where('run_id', '=', filter.run_id);
  if (filter.session_id !== undefined) query = query.where('session_id', '=', filter.session_id);
  if (filter.state !== undefined) query = query.where('state', '=', filter.state);
  if (filter.before !== undefined) query = query.where('run_id', '<', filter.before);
  return (await query.orderBy('run_id', 'desc').limit(filter.limit).execute()).map(toRun);
}

/** Of the states that have any. */
export async function countLive(database: Kysely<Tables>): Promise<readonly { readonly state: RunState; readonly count: number }[]> {
  return await database.selectFrom('runs').where(live).groupBy('state').select((eb) => ['state', eb.fn.countAll<number>().as('count')]).execute();
}

export async function selectLiveRuns(database: Kysely<Tables>): Promise<readonly Run[]> {
  return (await database.selectFrom('runs').selectAll().where(live).orderBy('version').execute()).map(toRun);
}

export async function selectRunsAfter(database: Kysely<Tables>, version: number, limit: number): Promise<readonly Run[]> {
  const rows = await database.selectFrom('runs').selectAll().where('version', '>', version).orderBy('version').limit(limit).execute();
  return rows.map(toRun);
}

/** Runs that the reaper should look at: a deadline that has passed by `now`, or a lease by `leaseNow`. */
export async function selectOverdue(database: Kysely<Tables>, now: number, leaseNow: number, limit: number): Promise<readonly Run[]> {
  const rows = await database.selectFrom('runs').selectAll().where(live)
    .where((eb) => eb.or([
      eb('absolute_deadline_at', '<=', now),
      eb.and([eb('state', '=', 'Active'), eb('deadline_at', '<=', now)]),
      eb.and([eb('state', '=', 'Active'), eb('channel', '=', 'jail'), eb('lease_expires_at', '<=', leaseNow)]),
    ]))
    .orderBy('deadline_at').limit(limit).execute();
  return rows.map(toRun);
}

/** Gives false when the run is over. */
export async function renewLease(trx: Trx, run_id: string, lease_expires_at: number): Promise<boolean> {
  const row = await trx.updateTable('runs').set({ lease_expires_at }).where('run_id', '=', run_id).where(live).returning('run_id').executeTakeFirst();
  return row !== undefined;
}

export async function renewLeasesOf(trx: Trx, run_ids: readonly string[], lease_expires_at: number): Promise<void> {
  await trx.updateTable('runs').set({ lease_expires_at }).where('run_id', '=', sql<string>`any(${sql.val(run_ids)}::text[])`).where(live).execute();
}

/** Gives false when the key was used before; waits for a transaction that is just using it. */
export async function claimIdempotencyKey(trx: Trx, row: { readonly key_sha256: string; readonly request_sha256: string; readonly created_at: number }): Promise<boolean> {
  const claimed = await trx.insertInto('idempotency_keys').values({ ...row, answer: '' })
    .onConflict((conflict) => conflict.column('key_sha256').doNothing()).returning('key_sha256').executeTakeFirst();
  return claimed !== undefined;
}

export async function setIdempotentAnswer(trx: Trx, key_sha256: string, answer: string): Promise<void> {
  await trx.updateTable('idempotency_keys').set({ answer }).where('key_sha256', '=', key_sha256).execute();
}

export async function selectIdempotencyKey(trx: Trx, key_sha256: string): Promise<{ readonly request_sha256: string; readonly answer: string } | undefined> {
  return await trx.selectFrom('idempotency_keys').select(['request_sha256', 'answer']).where('key_sha256', '=', key_sha256).executeTakeFirst();
}

export async function deleteIdempotencyKeysBefore(database: Kysely<Tables>, at: number): Promise<void> {
  await database.deleteFrom('idempotency_keys').where('created_at', '<', at).execute();
}
