/** `sallyport run` as a process among others: its own `up`, exit codes, streams, signals. What the proxy does is in end-to-end/. */
import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLink } from '../../cli/up/link-client.ts';
import { fileLifetime, type Lifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startSallyport, type TestProcess } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';

const test = needs('jail');
const file = fileLifetime();

let data: string;
let work: string;

test.before(async () => {
  data = join(await temporaryFolder(file), 'd');
  const folder = await temporaryFolder(file, 0o755);
  work = join(folder, 'work');
  mkdirSync(work);
  // The `up` that runs start belongs to nobody's process group.
  file.teardown(async () => { await startSallyport(file, ['down', '--data', data]).exit(); });
});

function run(lifetime: Lifetime, options: readonly string[], agent: readonly string[], input?: string): TestProcess {
  return startSallyport(lifetime, ['run', '--data', data, '--work', work, '--give-work', ...options, '--', ...agent], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: process.env['TMPDIR'] }, ...(input !== undefined && { input }),
  });
}

test.serial('runs that find no up start one, once, and leave it for the next', async (t) => {
  const runs = [1, 2, 3].map((number) => run(t, [], ['sh', '-c', `echo ${number}`]));
  for (const [index, one] of runs.entries()) {
    t.is((await one.exit(60_000)).code, 0, one.stderr());
    t.is(one.stdout(), `${index + 1}\n`);
    t.regex(one.stderr(), /^sallyport: run_\S+ Done \(exit code 0, /m);
  }
  const link = await openLink(data);
  t.not(link, undefined);
  link?.close();
});

test.serial('the agent\'s exit code, input and outputs are the command\'s', async (t) => {
  const one = run(t, ['--env', 'GREETING=hello'], ['sh', '-c', 'read line; echo "$GREETING $line"; echo oops >&2; exit 7'], 'world\n');
  t.is((await one.exit()).code, 7);
  t.is(one.stdout(), 'hello world\n');
  t.regex(one.stderr(), /^oops\n[^]*Failed: the agent ended with exit code 7/);
});

test.serial('--report - gives the report as JSON on standard error, and a file appears whole', async (t) => {
  const path = join(await temporaryFolder(t), 'report.json');
  const one = run(t, ['--report', '-'], ['true']);
  await one.exit();
  const other = run(t, ['--report', path, '--name', 'what for'], ['true']);
  await other.exit();
  for (const text of [one.stderr(), readFileSync(path, 'utf8')]) {
    const report = JSON.parse(text) as Record<string, unknown>;
    t.like(report, { v: 1, state: 'Done', exit_code: 0, egress: [], settled: true });
    t.regex(String((report['chain'] as { root: string }).root), /^[0-9a-f]{64}$/);
  }
});

test.serial('a link that the agent puts in the report\'s place is replaced, not followed', async (t) => {
  const precious = join(await temporaryFolder(t), 'precious');
  writeFileSync(precious, 'precious');
  const path = join(work, 'report.json');
  const one = run(t, ['--report', path], ['ln', '-s', precious, '/work/report.json']);
  t.is((await one.exit()).code, 0, one.stderr());
  t.is(readFileSync(precious, 'utf8'), 'precious');
  t.true(lstatSync(path).isFile());
  // And one that was there before.
  symlinkSync(precious, join(work, 'second.json'));
  await run(t, ['--report', join(work, 'second.json')], ['true']).exit();
  t.is(readFileSync(precious, 'utf8'), 'precious');
});

test.serial('SIGINT asks the agent to end, and the run is Cancelled', async (t) => {
  const one = run(t, [], ['sh', '-c', 'trap "echo saved; exit 0" TERM; echo ready; sleep 100 & wait']);
  await one.line(/^ready$/);
  one.kill('SIGINT');
  t.is((await one.exit()).code, 130);
  t.is(one.stdout(), 'ready\nsaved\n');
  t.regex(one.stderr(), /Cancelled: interrupted by SIGINT/);
});

test.serial('an agent that ignores the first signal is killed by the second', async (t) => {
  const one = run(t, [], ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 1; done']);
  await one.line(/^ready$/);
  one.kill('SIGTERM');
  one.kill('SIGTERM');
  t.is((await one.exit()).code, 143);
});

test.serial('when up goes away the jail is killed and the command says so', async (t) => {
  const one = run(t, [], ['sh', '-c', 'echo ready; sleep 100']);
  await one.line(/^ready$/);
  await startSallyport(t, ['down', '--data', data]).exit();
  t.is((await one.exit()).code, 69);
  t.regex(one.stderr(), /sallyport up ended, so the jail was killed/);
  await until('the folder to be free', () => !existsSync(join(data, 'up.sock')));
});

test.serial('a jail that cannot be started leaves no active run', async (t) => {
  const nowhere = startSallyport(t, ['run', '--data', data, '--work', '/nowhere', '--', 'true']);
  t.is((await nowhere.exit(60_000)).code, 78, nowhere.stderr());
  t.regex(nowhere.stderr(), /\/nowhere cannot be used/);
  const list = startSallyport(t, ['runs', 'list', '--data', data, '--json', '--limit', '1']);
  await list.exit();
  t.like((JSON.parse(list.stdout()) as { readonly items: readonly unknown[] }).items[0], { state: 'Failed' });
});
