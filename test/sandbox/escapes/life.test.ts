/** Beginnings that fail, ends of every kind, and that nothing of a jail outlives its launcher. */
import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { descendantsOf, isAlive, statOf } from '../../../sandbox/processes.ts';
import { readHierarchies } from '../../../sandbox/limits/limits.ts';
import { startJail } from '../../../sandbox/start-jail.ts';
import { python, runInJail, startTestJail } from '../../helpers/jail.ts';
import { needs } from '../../helpers/needs.ts';
import { startProcess } from '../../helpers/process.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { event, until } from '../../helpers/wait.ts';

const test = needs('jail', 'command python3');

/** Two daemons that left their session and their parent, then whatever comes. */
const daemons = (rest: string): readonly string[] => python(`
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 3)
            signal.pause()
        os._exit(0)
print('ready', flush=True)
${rest}`);

/** Groups of this process' jails: other test files have theirs. */
const groupsLeft = (): readonly string[] => {
  const { v1, v2 } = readHierarchies();
  return [...v1.values(), ...(v2 === undefined ? [] : [v2.mount])].flatMap((folder) => readdirSync(folder).filter((name) => name.startsWith(`sallyport-jail-${process.pid}-`)).map((name) => join(folder, name)));
};

test.serial('daemons that the agent leaves behind end with it', async (t) => {
  const { jail } = await startTestJail(t, daemons('sys.stdin.readline()'));
  await event('the daemons', jail.stdout, 'data');
  const init = statOf(jail.facts.agent_pid)?.parent ?? 0;
  const family = descendantsOf(init);
  t.true(family.length >= 4, String(family.length));
  jail.stdin.end('end\n');
  const end = await jail.exited;
  t.is(end.code, 0);
  t.is(end.ended_by, 'agent');
  t.deepEqual(family.filter(isAlive), []);
});

test.serial('a launcher that is killed takes its jails with it', async (t) => {
  const launcher = startProcess(t, process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./lasting-launcher.ts', import.meta.url)), await temporaryFolder(t, 0o755)]);
  const [line = ''] = await launcher.line(/^agent \d+$/);
  const family = descendantsOf(statOf(Number(line.split(' ')[1]))?.parent ?? 0);
  t.true(family.length >= 4, String(family.length));
  launcher.kill('SIGKILL');
  await until('the death of every process of the jail', () => !family.some(isAlive), 2000);
  t.pass();
});

test.serial('a soft stop reaches the agent, which ends as it likes', async (t) => {
  const { jail, stdout } = await startTestJail(t, ['sh', '-c', 'trap "echo stopping; exit 3" TERM; echo ready; while :; do sleep 0.05; done']);
  await event('the agent', jail.stdout, 'data');
  const end = await jail.stop(10_000);
  t.is(end.ended_by, 'stop');
  t.is(end.code, 3);
  t.is(await stdout, 'ready\nstopping\n');
});

test.serial('an agent that does not stop is killed once its grace is over', async (t) => {
  const { jail } = await startTestJail(t, ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done']);
  await event('the agent', jail.stdout, 'data');
  const end = await jail.stop(100);
  t.is(end.ended_by, 'stop');
  t.is(end.signal, 'SIGKILL');
  t.is(end.code, undefined);
  t.false(jail.listener.listening);
});

test.serial('a kill ends every process, closes the listener and removes the groups', async (t) => {
  const before = groupsLeft();
  const { jail } = await startTestJail(t, daemons('signal.pause()'));
  await event('the daemons', jail.stdout, 'data');
  const family = descendantsOf(statOf(jail.facts.agent_pid)?.parent ?? 0);
  const end = await jail.kill();
  t.is(end.ended_by, 'kill');
  t.deepEqual(family.filter(isAlive), []);
  t.false(jail.listener.listening);
  t.deepEqual(groupsLeft().filter((group) => !before.includes(group)), []);
  t.is((await jail.kill()).ended_by, 'kill', 'once more does nothing');
});

test.serial("exit codes are the agent's, and a shell's for what cannot be run or was killed", async (t) => {
  t.is((await runInJail(t, ['sh', '-c', 'exit 42'])).code, 42);
  t.is((await runInJail(t, ['sh', '-c', 'kill -9 $$'])).code, 137);
  const missing = await runInJail(t, ['no-such-program']);
  t.is(missing.code, 127);
  t.regex(missing.stderr, /no-such-program/);
  // The codes of the boot script are nothing special in an agent.
  for (const code of [93, 95, 96]) t.is((await runInJail(t, ['sh', '-c', `sleep 0.05; exit ${code}`])).code, code);
});

test.serial('signals that Node ignores are not ignored by the agent', async (t) => {
  const { stdout } = await runInJail(t, ['grep', 'SigIgn', '/proc/self/status']);
  t.regex(stdout, /^SigIgn:\t0+\n$/);
});

test.serial('a worker thread may not start a jail, because the jail would die with the thread', async (t) => {
  const worker = new Worker(new URL('./worker-launcher.ts', import.meta.url), { workerData: await temporaryFolder(t, 0o755) });
  t.teardown(() => worker.terminate());
  const [code] = await event('the end of the worker', worker, 'exit');
  t.is(code, 69);
});

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

test.serial('a jail that cannot be built leaves nothing behind', async (t) => {
  const work = await temporaryFolder(t, 0o755);
  const hooks = { onConnection: (socket: { destroy(): void }) => socket.destroy() };
  const common = { argv: ['true'], run_id: 'r', work, give_work: true };
  // A first one, so that what Node loads and opens lazily is there.
  const first = await startJail(common, hooks);
  await first.exited;
  first.stdout.resume();
  first.stderr.resume();
  first.stdin.end();
  const before = { groups: groupsLeft(), descriptors: openDescriptors(), children: descendantsOf(process.pid).length };
  const mistakes: readonly (readonly [object, string])[] = [
    [{ argv: [] }, 'jail_spec'],
    [{ argv: ['-S'] }, 'jail_spec'],
    [{ argv: ['A=b', 'true'] }, 'jail_spec'],
    [{ work: join(work, 'missing') }, 'jail_spec'],
    [{ work: '/' }, 'jail_spec'],
    [{ env: { HTTPS_PROXY: 'http://other.test' } }, 'jail_spec'],
    [{ env: { Https_Proxy: 'http://other.test' } }, 'jail_spec'],
    [{ unknown: true }, 'jail_spec'],
    [{ env: { HUGE: 'x'.repeat(200_000) } }, 'jail_spec'],
  ];
  for (const [change, code] of mistakes) await t.throwsAsync(startJail({ ...common, ...change }, hooks), { code }, JSON.stringify(change).slice(0, 60));
  await until('every descriptor and child to be gone', () => openDescriptors() <= before.descriptors && descendantsOf(process.pid).length <= before.children);
  t.deepEqual(groupsLeft(), before.groups);
});

test.serial('a jail that bwrap cannot build says why, and leaves nothing behind', async (t) => {
  const parent = await temporaryFolder(t, 0o755);
  const work = join(parent, 'work');
  mkdirSync(work, { mode: 0o777 });
  const before = { groups: groupsLeft(), descriptors: openDescriptors(), children: descendantsOf(process.pid).length };
  // It is opened and checked before the first await, and gone when bwrap looks for it.
  const starting = runInJail(t, ['true'], { spec: { work } });
  rmdirSync(work);
  await t.throwsAsync(starting, { code: 'jail_unavailable', message: /bwrap: Can't find source path .*\/work/ });
  await until('every descriptor and child to be gone', () => openDescriptors() <= before.descriptors && descendantsOf(process.pid).length <= before.children);
  t.deepEqual(groupsLeft(), before.groups);
});
