import { stat } from 'node:fs/promises';
import { Client } from 'pg';
import { needs } from './needs.ts';
import { freshDatabase } from './postgres.ts';
import { fileLifetime } from './lifetime.ts';

const test = needs('postgres');
const file = fileLifetime();

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as unknown[];
  } finally {
    await client.end();
  }
}

const migrate = async (url: string): Promise<void> => {
  await query(url, 'create table thing (name text); insert into thing values (\'migrated\')');
};

test('databases are migrated once, then copied, and strangers to each other', async (t) => {
  const template = `helper test ${process.pid}`;
  let migrations = 0;
  const counted = (url: string): Promise<void> => {
    migrations++;
    return migrate(url);
  };
  const [first, second] = await Promise.all([freshDatabase(file, template, counted), freshDatabase(t, template, counted)]);
  t.is(migrations, 1);
  await query(first.url, "insert into thing values ('mine')");
  t.deepEqual(await query(first.url, 'select name from thing order by name'), [{ name: 'migrated' }, { name: 'mine' }]);
  t.deepEqual(await query(second.url, 'select name from thing'), [{ name: 'migrated' }]);
});

test('a migration that failed is tried again, on an empty database', async (t) => {
  const template = `failing helper test ${process.pid}`;
  await t.throwsAsync(freshDatabase(t, template, async (url) => { await query(url, 'create table half (n int)'); throw new Error('broken'); }), { message: 'broken' });
  const later = await freshDatabase(t, template, migrate);
  t.deepEqual(await query(later.url, 'select name from thing'), [{ name: 'migrated' }]);
  await t.throwsAsync(query(later.url, 'select * from half'));
});

test('Postgres does not run as root', async (t) => {
  const { url } = await freshDatabase(t, 'empty', async () => { /* As it comes. */ });
  const rows = await query(url, "select (pg_stat_file('base')).size is not null as there, current_setting('data_directory') as folder") as { folder: string }[];
  t.not((await stat(rows[0]!.folder)).uid, 0);
});
