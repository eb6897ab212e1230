import test from 'ava';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../../contracts/clock.ts';
import { makeTemplate } from '../../../control-plane/database/make-template.ts';
import { migrate } from '../../../control-plane/database/migrate.ts';
import { migrations } from '../../../control-plane/database/migrations/all.ts';
import { openDatabase } from '../../../control-plane/database/open.ts';
import { copyTemplate, templateFolder } from '../../../control-plane/database/template.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { within } from '../../helpers/wait.ts';
import { backends, openFor } from '../backends.ts';

for (const backend of backends) {
  backend.test(`migrations run once, and what was written is there after a reopening (${backend.name})`, async (t) => {
    const location = await backend.locate(t);
    const first = await openDatabase(location, systemClock);
    await first.kysely.insertInto('sessions').values({ session_id: 'ses_1', created_at: 1 }).execute();
    await first.close();
    const second = await openFor(t, location);
    t.deepEqual(await second.kysely.selectFrom('sessions').selectAll().execute(), [{ session_id: 'ses_1', created_at: 1 }]);
    t.is((await second.kysely.selectFrom('migrations').selectAll().execute()).length, migrations.length);
  });

  backend.test(`a database of a later version is refused (${backend.name})`, async (t) => {
    const { kysely } = await openFor(t, await backend.locate(t));
    await kysely.insertInto('migrations').values({ name: '9999-later', applied_at: 1 }).execute();
    await t.throwsAsync(migrate(kysely, migrations, 1), { message: /later version.*9999-later/ });
  });

  backend.test(`a migration that fails leaves nothing of itself (${backend.name})`, async (t) => {
    const { kysely } = await openFor(t, await backend.locate(t));
    const broken = { name: '0002-broken', statements: ['create table half (n int)', 'create table sessions (n int)'] };
    await t.throwsAsync(migrate(kysely, [...migrations, broken], 1), { message: /already exists/ });
    await t.throwsAsync(kysely.selectFrom('half' as 'sessions').selectAll().execute(), { message: /does not exist/ });
    await migrate(kysely, [...migrations, { name: '0002-whole', statements: ['create table half (n int)'] }], 1);
    t.deepEqual(await kysely.selectFrom('half' as 'sessions').selectAll().execute(), []);
  });
}

test.serial('a first start copies the template, and an unfinished copy is not taken for a database', async (t) => {
  await makeTemplate();
  const folder = join(await temporaryFolder(t), 'postgres');
  await copyTemplate(`${folder}`);
  t.true((await readdir(folder)).includes('PG_VERSION'));
  await rm(join(folder, 'PG_VERSION'));
  await copyTemplate(folder);
  t.false((await readdir(folder)).includes('PG_VERSION'), 'a folder that is there is left alone');
  await rm(folder, { recursive: true });
  await copyTemplate(`${folder}.unfinished`);
  await writeFile(join(`${folder}.unfinished`, 'half'), '');
  await copyTemplate(folder);
  t.false((await readdir(folder)).includes('half'));
});

test.serial('a template of other migrations is not copied', async (t) => {
  const base = await temporaryFolder(t);
  const stale = join(base, 'stale');
  await copyTemplate(stale);
  await writeFile(join(stale, 'stamp'), 'another');
  await copyTemplate(join(base, 'postgres'), stale);
  t.deepEqual(await readdir(base), ['stale']);
  t.false(await makeTemplate(templateFolder), 'the template is only made when it has to be');
});

test.serial('a database folder is opened by one process, and is free once that was killed', async (t) => {
  await makeTemplate();
  const folder = join(await temporaryFolder(t), 'postgres');
  const script = `
    const { openDatabase } = await import(${JSON.stringify(new URL('../../../control-plane/database/open.ts', import.meta.url).href)});
    const { systemClock } = await import(${JSON.stringify(new URL('../../../contracts/clock.ts', import.meta.url).href)});
    const { kysely } = await openDatabase({ folder: ${JSON.stringify(folder)} }, systemClock);
    await kysely.insertInto('sessions').values({ session_id: 'ses_killed', created_at: 1 }).execute();
    console.log('open');`;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  t.teardown(() => child.kill('SIGKILL'));
  await within('the child to open the database', once(child.stdout, 'data'), 60_000);
  const opening = openDatabase({ folder }, systemClock);
  const early = await Promise.race([opening, new Promise<'waits'>((resolve) => { setTimeout(resolve, 300, 'waits'); })]);
  t.is(early, 'waits');
  child.kill('SIGKILL');
  await exited;
  const database = await within('the lock of a killed process', opening);
  t.deepEqual(await database.kysely.selectFrom('sessions').select('session_id').execute(), [{ session_id: 'ses_killed' }], 'a commit survives kill -9');
  await database.close();
});

test.serial('a Postgres that is not there, or not well, is database_unavailable in one sentence', async (t) => {
  const deaf = createServer((socket) => { socket.on('error', () => { /* The client gives up. */ }); socket.destroy(); }).listen(0, '127.0.0.1');
  await once(deaf, 'listening');
  t.teardown(() => deaf.close());
  const { port } = deaf.address() as { port: number };
  const table = [
    `postgres://nobody@127.0.0.1:1/none`,
    `postgres://nobody@127.0.0.1:${port}/none`,
    'postgres://nobody@localhost/none?host=/nowhere',
  ];
  for (const url of table) {
    const error = await t.throwsAsync(openDatabase({ url, folder: '/nowhere' }, systemClock), { message: /^The database cannot be reached: / }, url);
    t.is((error as { code?: string } | undefined)?.code, 'database_unavailable', url);
  }
});
