import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, open, readdir, readFile } from 'node:fs/promises';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../wait.ts';

/** The newest server binaries of the machine: Debian's folders, else the PATH. */
export async function postgresBinaries(): Promise<string | undefined> {
  const base = '/usr/lib/postgresql';
  const versions = await readdir(base).catch(() => []);
  const folders = versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => join(base, version, 'bin'));
  return [...folders, ...(process.env['PATH'] ?? '').split(':')].find((folder) => folder !== '' && hasServer(folder));
}

function hasServer(folder: string): boolean {
  try {
    for (const name of ['initdb', 'postgres']) accessSync(join(folder, name), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface PostgresServer {
  readonly socketFolder: string;
  /** SIGQUIT ends it at once. */
  readonly process: ChildProcess;
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Postgres refuses to run as uid 0, and initdb wants an account with a name: its own, else nobody. */
async function account(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const found = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody');
  if (found === undefined) throw new Error('Neither postgres nor nobody is an account here, and Postgres refuses to run as root.');
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

/** Durable it needn't be: the folder is thrown away. Shared memory in files, so that nothing is left when it is killed. */
const settings: Readonly<Record<string, string>> = {
  listen_addresses: '',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  shared_buffers: '64MB',
  dynamic_shared_memory_type: 'mmap',
  autovacuum: 'off',
  max_wal_size: '512MB',
  log_min_messages: 'warning',
};

/**
 * Starts a new, empty server below `folder`, which any uid must be able to enter. Superuser `postgres`, Unix socket only,
 * whose folder is given back.
 */
export async function startPostgresServer(folder: string): Promise<PostgresServer> {
  const binaries = await postgresBinaries();
  if (binaries === undefined) throw new Error('No PostgreSQL server binaries: run npm run setup.');
  const owner = await account();
  const home = join(folder, 'postgres');
  await mkdir(home, { mode: 0o700 });
  if (owner !== undefined) await chown(home, owner.uid, owner.gid);
  const data = join(home, 'data');
  const environment = { PATH: `${binaries}:/usr/bin:/bin`, LC_ALL: 'C', TZ: 'UTC' };

  await promisify(execFile)(join(binaries, 'initdb'), [
    '--pgdata', data, '--username', 'postgres', '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C', '--no-sync',
  ], { cwd: home, env: environment, ...owner });
  const log = join(folder, 'postgres.log');
  const file = await open(log, 'a');
  const server = spawn(join(binaries, 'postgres'), [
    '-D', data, '-k', home, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ], { cwd: home, env: environment, stdio: ['ignore', file.fd, file.fd], ...owner });
  await file.close();
  const ended = once(server, 'exit').then(async ([code]) => {
    throw new Error(`Postgres ended with ${String(code)}: ${await readFile(log, 'utf8')}`);
  });
  ended.catch(() => { /* After the start this is for nobody to hear: its clients see it. */ });
  // The eighth line of the pid file is the server's own word on its state.
  await Promise.race([ended, until('a started Postgres', async () => (await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[7]?.trim() === 'ready')]);
  return { socketFolder: home, process: server };
}
