import { sql, type Kysely, type Selectable, type Transaction } from 'kysely';
import { mostPresent } from '../../contracts/agent-limits.ts';
import { toJson } from '../database/codec.ts';
import type { AgentsTable, Tables } from '../database/tables.ts';
import type { Agent } from './rules.ts';

type Trx = Transaction<Tables>;

function toAgent({ run_id, epoch, command, status, host_id }: Selectable<AgentsTable>): Agent {
  return { run_id, epoch, command, status, host_id: host_id ?? undefined };
}

export async function insertAgent(trx: Trx, { run_id, epoch, command, status }: Agent): Promise<void> {
  await trx.insertInto('agents').values({ run_id, epoch, command: toJson(command), status, host_id: null, exit_code: null }).execute();
}

export async function setWanted(trx: Trx, run_id: string): Promise<void> {
  await trx.updateTable('agents').set({ status: 'wanted' }).where('run_id', '=', run_id).where('status', '=', 'waiting').execute();
}

/** Gives false when another host has it, or nobody should. */
export async function claim(trx: Trx, run_id: string, host_id: string): Promise<boolean> {
  const row = await trx.updateTable('agents').set({ host_id }).where('run_id', '=', run_id).where('status', '=', 'wanted')
    .where((eb) => eb.or([eb('host_id', 'is', null), eb('host_id', '=', host_id)])).returning('run_id').executeTakeFirst();
  return row !== undefined;
}

export async function setRunning(trx: Trx, run_id: string, epoch: number, host_id: string): Promise<boolean> {
  const row = await trx.updateTable('agents').set({ status: 'running' }).where('run_id', '=', run_id).where('epoch', '=', epoch)
    .where('host_id', '=', host_id).where('status', '=', 'wanted').returning('run_id').executeTakeFirst();
  return row !== undefined;
}

/** Its variables may hold secrets, and nobody needs them any more. */
export async function setExited(trx: Trx, run_id: string, exit_code: number | undefined): Promise<void> {
  await trx.updateTable('agents').set({ status: 'exited', exit_code: exit_code ?? null, command: sql`jsonb_set(command, '{env}', '{}')` })
    .where('run_id', '=', run_id).execute();
}

export async function selectAgent(database: Kysely<Tables>, run_id: string): Promise<Agent | undefined> {
  const row = await database.selectFrom('agents').selectAll().where('run_id', '=', run_id).executeTakeFirst();
  return row && toAgent(row);
}

/** All of the host that are not over (no host has more than `mostPresent`), then the oldest that no host has taken. */
export async function selectForHost(database: Kysely<Tables>, host_id: string): Promise<readonly Agent[]> {
  const rows = await database.selectFrom('agents').selectAll().where('status', 'in', ['wanted', 'running'])
    .where((eb) => eb.or([eb('host_id', 'is', null), eb('host_id', '=', host_id)]))
    .orderBy(sql`host_id is null`).orderBy('run_id').limit(2 * mostPresent).execute();
  return rows.map(toAgent);
}

/** Runs that wait for a place at any host. */
export async function selectUnclaimed(trx: Trx, limit: number): Promise<readonly string[]> {
  const rows = await trx.selectFrom('agents').select('run_id').where('status', '=', 'wanted').where('host_id', 'is', null).limit(limit).execute();
  return rows.map(({ run_id }) => run_id);
}
