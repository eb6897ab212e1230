import { createHash } from 'node:crypto';
import { sql, type Kysely, type Transaction } from 'kysely';
import { SallyportError } from '../../contracts/errors.ts';
import type { Tables } from './tables.ts';

export interface Migration {
  readonly name: string;
  readonly statements: readonly string[];
}

/** Any constant: replicas that start together migrate one after the other. */
const lockKey = 5_305_111_870;

/** Changes when a migration does: the stamp of a template folder. */
export function migrationsDigest(migrations: readonly Migration[]): string {
  return createHash('sha256').update(JSON.stringify(migrations)).digest('hex');
}

/**
 * Brings the schema up to the last migration, all or nothing. A database that knows a migration we do not is newer than this
 * program: `configuration`.
 */
export async function migrate(database: Kysely<Tables>, migrations: readonly Migration[], now: number): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(lockKey)})`.execute(trx);
    const applied = await appliedNames(trx);
    const unknown = applied.find((name) => !migrations.some((migration) => migration.name === name));
    if (unknown !== undefined) {
      throw new SallyportError('configuration', `The database was made by a later version of this program (it has "${unknown}").`);
    }
    for (const { name, statements } of migrations) {
      if (applied.includes(name)) continue;
      for (const statement of statements) await sql.raw(statement).execute(trx);
      await trx.insertInto('migrations').values({ name, applied_at: now }).execute();
    }
  });
}

async function appliedNames(trx: Transaction<Tables>): Promise<readonly string[]> {
  const { rows } = await sql<{ present: boolean }>`select to_regclass('migrations') is not null as present`.execute(trx);
  if (rows[0]?.present !== true) {
    await sql`create table migrations (name text primary key, applied_at int8 not null)`.execute(trx);
    return [];
  }
  const names = await trx.selectFrom('migrations').select('name').execute();
  return names.map(({ name }) => name);
}
