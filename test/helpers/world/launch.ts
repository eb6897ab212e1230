import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dnsAddresses, onInterface } from './addresses.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const host = [process.execPath, '--disable-warning=ExperimentalWarning', path('host.ts')];

/** A program that runs in the test world, or, where no world can be had, outside of it. */
export interface WorldRun {
  readonly child: ChildProcess;
  /** Why there is no world; `undefined` when there is one. */
  readonly missing: string | undefined;
  /** The program's exit code; settles after all that it started has ended and its folder is gone. */
  readonly ended: Promise<number>;
}

export interface WorldOptions {
  /** Added to the environment, which is otherwise a short fixed list. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdio?: readonly ['ignore' | 'inherit', 'inherit' | 'pipe', 'inherit' | 'pipe'];
}

/**
 * Makes a small internet (`addresses.ts`, a DNS server, Postgres on demand) in namespaces of its own and runs a program in it.
 * Ends with this process, whatever ends this process.
 */
export async function enterWorld(program: readonly string[], options: WorldOptions = {}): Promise<WorldRun> {
  const folder = await mkdtemp(join(tmpdir(), 'sp-'));
  await prepare(folder);
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  process.once('exit', remove);

  const { command, missing } = await findWay(folder);
  // The keeper ends itself when this end of the pipe (descriptor 3) closes: by kill -9 as well.
  const stdio: StdioOptions = [...(options.stdio ?? ['inherit', 'inherit', 'inherit']), 'pipe'];
  const [first = '', ...rest] = [...command, ...host, folder, ...program];
  const child = spawn(first, rest, { stdio, env: environment(folder, missing, options.env) });
  // Without children of its own this process would leave at once, and the folder with it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => child.kill('SIGKILL'));
  const ended = once(child, 'exit').then(([code]) => {
    process.removeListener('exit', remove);
    remove();
    return typeof code === 'number' ? code : 70;
  });
  return { child, missing, ended };
}

async function prepare(folder: string): Promise<void> {
  // Entered by Postgres' uid and by jails' uids.
  await chmod(folder, 0o711);
  for (const name of ['etc', 'home']) await mkdir(join(folder, name));
  await mkdir(join(folder, 't'));
  await chmod(join(folder, 't'), 0o1777);
  await writeFile(join(folder, 'etc/resolv.conf'), `nameserver ${dnsAddresses[0]}\noptions timeout:1 attempts:2\n`);
  await writeFile(join(folder, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n');
  await writeFile(join(folder, 'etc/nsswitch.conf'), 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n');
}

/**
 * A process namespace of its own ends everything with the run; some containers refuse it (their `/proc` is partly covered),
 * so it is done without where need be. The network and mount namespaces are the world.
 */
async function findWay(folder: string): Promise<{ readonly command: readonly string[]; readonly missing: string | undefined }> {
  const root = process.getuid?.() === 0;
  const user = root ? [] : ['--user', '--map-root-user'];
  const owner = root ? ['-', '-'] : [String(process.getuid?.()), String(process.getgid?.())];
  let missing = '';
  for (const processes of [['--pid', '--ipc', '--mount-proc'], []]) {
    const command = ['unshare', ...user, '--net', '--mount', ...processes, '--fork', '--kill-child', '--', path('enter.sh'), folder, ...owner, onInterface.join(' ')];
    const problem = await tryOut([...command, 'true']);
    if (problem === undefined) return { command, missing: undefined };
    missing = problem;
  }
  return { command: [], missing };
}

async function tryOut([command = '', ...args]: readonly string[]): Promise<string | undefined> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { said = (said + text).slice(0, 2000); });
  try {
    const [code, signal] = await once(child, 'close') as [number | null, string | null];
    return code === 0 ? undefined : said.trim() || `ended with ${code ?? signal}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** System folders first, so that tests use what a jail can see too, and no proxy or tool setting of the person who runs them. */
function environment(folder: string, missing: string | undefined, more: WorldOptions['env']): Record<string, string> {
  const kept = ['LANG', 'LC_ALL', 'TERM', 'CI', 'COLORTERM', 'NO_COLOR', 'FORCE_COLOR'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(kept),
    PATH: `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${process.env['PATH'] ?? ''}`,
    HOME: join(folder, 'home'),
    TMPDIR: join(folder, 't'),
    TZ: 'UTC',
    ...(missing === undefined ? {} : { TEST_WORLD_MISSING: missing }),
    ...more,
  };
}
