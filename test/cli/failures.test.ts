/** What a user sees go wrong: one clear sentence, what to do, the exit code of its class, and nothing left running. */
import test from 'ava';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lifetime } from '../helpers/lifetime.ts';
import { startProcess, startSallyport, type TestProcess } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';

interface Ended {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

async function sallyport(lifetime: Lifetime, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const process_ = startSallyport(lifetime, args, { env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env } });
  const { code } = await process_.exit(60_000);
  return { code, stdout: process_.stdout(), stderr: process_.stderr() };
}

const commandLines: readonly [args: readonly string[], code: number, sentence: RegExp, next: RegExp][] = [
  [[], 64, /^sallyport: Name a command/, /sallyport --help/],
  [['rnu'], 64, /Unknown command 'rnu' \(Did you mean run\?\)/, /sallyport --help/],
  [['runs'], 64, /sallyport runs needs one of create, list, show, cancel/, /sallyport runs --help/],
  [['run'], 64, /Missing required argument 'command'/, /sallyport run --help/],
  [['run', '--alow', 'a.example', '--', 'true'], 64, /Unknown option '--alow' \(Did you mean --allow\?\)/, /sallyport run --help/],
  [['run', '--no-intercept', '--allow', 'a.example:443:GET', '--', 'true'], 64, /--allow a\.example:443:GET: the methods "GET" cannot be judged on port 443.*--intercept.*a\.example:443:TUNNEL/, /sallyport run --help/],
  [['run', '--budget', 'llm_tokens=5', '--', 'true'], 69, /--budget llm_tokens: nothing enforces this meter yet/, /./],
  [['run', '--env', 'NOT_THERE', '--', 'true'], 64, /--env NOT_THERE: there is no such variable here/, /sallyport run --help/],
  [['run', '--report', '/nowhere/report.json', '--', 'true'], 64, /--report \/nowhere\/report\.json: its folder cannot be written to/, /./],
  [['runs', 'create', '--env', '--', 'true'], 64, /--env and --proxy are for agents that are started elsewhere/, /sallyport runs create --help/],
  [['runs', 'create', '--give-work'], 64, /--work and --give-work need a command/, /sallyport runs create --help/],
  [['up', '--listen', 'nowhere'], 64, /--listen: "nowhere" is not an address and a port/, /sallyport up --help/],
  [['up', '--listen', '0.0.0.0:0'], 64, /--listen 0\.0\.0\.0:0 can be reached from the network/, /sallyport up --help/],
  [['up', '--workers', '0'], 64, /--workers: "0" is not a number from 1 to 64/, /sallyport up --help/],
  [['restart', '--drain', 'long'], 64, /--drain: "long" is not a number of seconds/, /sallyport restart --help/],
  [['restart'], 69, /Nothing runs on \/nowhere/, /./],
  [['audit', 'verify', '--export', '/nowhere/trail.jsonl'], 64, /--export \/nowhere\/trail\.jsonl cannot be read: there is no such file/, /./],
];
for (const [args, code, sentence, next] of commandLines) {
  test(`sallyport ${args.join(' ')}: exit code ${code} and a sentence`, async (t) => {
    const ended = await sallyport(t, args, { SALLYPORT_DATA: '/nowhere' });
    t.is(ended.code, code, ended.stderr);
    t.regex(ended.stderr, sentence);
    t.regex(ended.stderr, next);
    t.notRegex(ended.stderr, /\n {4}at |Error:/, 'a stack is no sentence');
    t.is(ended.stdout, '');
  });
}

test('all mistakes of a command line are told at once', async (t) => {
  const { code, stderr } = await sallyport(t, ['run', '--allow', 'a b', '--allow', 'a.example:0', '--budget', 'requests=-1', '--', 'true']);
  t.is(code, 64);
  t.is(stderr.split('\n').filter((line) => line.startsWith('sallyport: ')).length, 3, stderr);
});

test('with --json a failure is a problem document', async (t) => {
  const { code, stderr } = await sallyport(t, ['runs', 'list', '--json'], { SALLYPORT_DATA: '/nowhere' });
  t.is(code, 69);
  t.like(JSON.parse(stderr), { code: 'control_plane_unreachable', status: 503 });
});

test('mistakes in the environment are told with the variable\'s name', async (t) => {
  const { code, stderr } = await sallyport(t, ['runs', 'list'], { SALLYPORT_DTAA: '/x' });
  t.is(code, 78);
  t.regex(stderr, /SALLYPORT_DTAA is not a variable of Sallyport/);
});

test('every command has a help with an example', async (t) => {
  const names = [...readFileSync(new URL('../../cli/main.ts', import.meta.url), 'utf8').matchAll(/name: '([a-z ]+)', summary/g)].map(([, name = '']) => name);
  t.true(names.length >= 15);
  await Promise.all(names.map(async (name) => {
    const { code, stdout } = await sallyport(t, [...name.split(' '), '--help']);
    t.is(code, 0, name);
    t.regex(stdout, new RegExp(`Example:\\n {2}.*sallyport ${name}`), name);
  }));
});

test('a Node that is too old is named, with what to do', async (t) => {
  const old = '/usr/bin/node';
  const version = existsSync(old) ? startProcess(t, old, ['--version']) : undefined;
  await version?.exit();
  if (version === undefined || Number(/^v(\d+)/.exec(version.stdout())?.[1]) >= 24) return t.pass('there is no older Node here');
  const ended = startProcess(t, old, [fileURLToPath(new URL('../../cli/start.cjs', import.meta.url)), 'doctor']);
  t.is((await ended.exit()).code, 69);
  t.regex(ended.stderr(), /This needs Node 24, and this is Node \d+.*\n {2}Run npm install/);
});

/** Processes that have the folder's path among their arguments, and so are of its `up`, or sit in it. */
function left(data: string): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(data);
    } catch {
      return false;
    }
  });
}

async function children(pid: number): Promise<number[]> {
  return await until('three children (control plane, worker, jail host)', () => {
    const found = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((child) => {
      try {
        return readFileSync(`/proc/${child}/status`, 'utf8').includes(`PPid:\t${pid}\n`);
      } catch {
        return false;
      }
    });
    return found.length === 3 && found;
  });
}

function up(lifetime: Lifetime, data: string, ...more: readonly string[]): TestProcess {
  return startSallyport(lifetime, ['up', '--data', data, '--listen', '127.0.0.1:0', '--api', '127.0.0.1:0', ...more], { env: { PATH: process.env['PATH'], HOME: process.env['HOME'] } });
}

async function takenPort(lifetime: Lifetime): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  lifetime.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

const unfit: readonly [what: string, args: (lifetime: Lifetime) => Promise<readonly string[]>, env: Readonly<Record<string, string>>, code: number, sentence: RegExp][] = [
  ['the proxy\'s port is taken', async (t) => ['--listen', `127.0.0.1:${await takenPort(t)}`], {}, 69, /already in use/],
  ['the API\'s port is taken', async (t) => ['--api', `127.0.0.1:${await takenPort(t)}`], {}, 69, /already in use/],
  ['the database is unreachable', async () => [], { DATABASE_URL: 'postgres://127.0.0.1:1/nobody' }, 69, /The database cannot be reached/],
  ['there is no such policy folder', async () => ['--policies', '/nowhere'], {}, 78, /policy folder \/nowhere cannot be used/],
];
for (const [what, args, env, code, sentence] of unfit) {
  test.serial(`up ends with ${code} when ${what}, and leaves no process and no lock`, async (t) => {
    const data = join(await temporaryFolder(t), 'd');
    const ended = await sallyport(t, ['up', '--data', data, '--listen', '127.0.0.1:0', '--api', '127.0.0.1:0', ...await args(t)], env);
    t.is(ended.code, code, ended.stderr);
    t.regex(ended.stderr, sentence);
    t.deepEqual(left(data), []);
    t.false(existsSync(join(data, 'up.sock')));
    // The folder is free: the next one starts.
    const next = up(t, data);
    await next.line(/Sallyport is ready/, 60_000);
    t.is((await sallyport(t, ['down', '--data', data])).code, 0);
    t.is((await next.exit()).code, 0);
  });
}

test.serial('a run whose up cannot start says why, as up would', async (t) => {
  const folder = await temporaryFolder(t);
  const ended = await sallyport(t, ['run', '--data', join(folder, 'd'), '--work', folder, '--', 'true'], { DATABASE_URL: 'postgres://127.0.0.1:1/nobody' });
  t.is(ended.code, 69, ended.stderr);
  t.regex(ended.stderr, /The database cannot be reached/);
  t.deepEqual(left(join(folder, 'd')), []);
});

test.serial('a data folder that another process owns is refused with that process\'s number; down ends it', async (t) => {
  const data = join(await temporaryFolder(t), 'd');
  const first = up(t, data);
  await first.line(/Sallyport is ready/, 60_000);
  const second = await sallyport(t, ['up', '--data', data]);
  t.is(second.code, 75, second.stderr);
  t.regex(second.stderr, new RegExp(`Another sallyport \\(process ${first.pid}\\) owns the data folder`));
  t.regex(second.stderr, /sallyport down/);
  const down = await sallyport(t, ['down', '--data', data, '--json']);
  t.deepEqual(JSON.parse(down.stdout), { stopped: true, pid: first.pid });
  t.is((await first.exit()).code, 0);
  t.deepEqual(JSON.parse((await sallyport(t, ['down', '--data', data, '--json'])).stdout), { stopped: false, pid: null });
});

test.serial('SIGTERM ends an up with all that it started, and so does kill -9', async (t) => {
  const data = join(await temporaryFolder(t), 'd');
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const started = up(t, data);
    await started.line(/Sallyport is ready/, 60_000);
    const pids = await children(started.pid);
    started.kill(signal);
    await started.exit();
    await until(`the end of all children after ${signal}`, () => pids.every((pid) => !existsSync(`/proc/${pid}`)));
  }
  // What the killed one left lying (its socket) is in nobody's way.
  const next = up(t, data);
  await next.line(/Sallyport is ready/, 60_000);
  next.kill('SIGINT');
  t.is((await next.exit()).code, 0);
});

test('a data folder that is a link is not used', async (t) => {
  const folder = await temporaryFolder(t);
  mkdirSync(join(folder, 'real'), { mode: 0o700 });
  symlinkSync(join(folder, 'real'), join(folder, 'd'));
  const { code, stderr } = await sallyport(t, ['up', '--data', join(folder, 'd')]);
  t.is(code, 78);
  t.regex(stderr, /is not a folder/);
});
