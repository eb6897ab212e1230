import { createHash, randomBytes } from 'node:crypto';
import { Client } from 'pg';
import type { Lifetime } from './lifetime.ts';
import { askControl } from './world/control.ts';
import { controlSocket } from './world.ts';

export interface FreshDatabase {
  /** For `DATABASE_URL`: the run's Postgres by its Unix socket. */
  readonly url: string;
  readonly name: string;
}

/**
 * A database of the lifetime's own. `migrate` brings an empty database (its URL) to the state wanted; it runs once per run and
 * `template`, whoever asks first, and every database is a copy of the outcome. Needs `needs('postgres')`.
 */
export async function freshDatabase(
  lifetime: Lifetime,
  template: string,
  migrate: (url: string) => Promise<void>,
): Promise<FreshDatabase> {
  const folder = await askControl(controlSocket(), { operation: 'postgres' }) as string;
  const url = (name: string): string => `postgres://postgres@localhost/${name}?host=${folder}`;
  const source = `template_${createHash('sha256').update(template).digest('hex').slice(0, 16)}`;
  const name = `test_${randomBytes(8).toString('hex')}`;

  await asAdministrator(url, async (client) => {
    // Other test processes wait here for the one that makes the template.
    await client.query('select pg_advisory_lock(hashtext($1))', [source]);
    const ready = await client.query("select 1 from pg_database where datname = $1 and datistemplate", [source]);
    if (ready.rowCount === 0) {
      await client.query(`drop database if exists ${source}`);
      await client.query(`create database ${source}`);
      await migrate(url(source));
      await client.query(`alter database ${source} is_template true`);
    }
    await client.query(`create database ${name} template ${source}`);
  });
  lifetime.teardown(() => asAdministrator(url, async (client) => { await client.query(`drop database if exists ${name} with (force)`); }));
  return { url: url(name), name };
}

async function asAdministrator(url: (name: string) => string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url('postgres') });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
