/** Runs that the control plane owns: their agents are started and ended by the jail host, with no launcher at the keyboard. */
import { readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { localApi } from '../../cli/api-client.ts';
import { startUp } from '../../cli/up/supervisor.ts';
import { systemClock } from '../../contracts/clock.ts';
import type { CreatedRun, Page, RunAction, RunView } from '../../contracts/run-api.ts';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin } from '../helpers/origin.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

interface Created {
  readonly run_id: string;
  readonly session_id: string;
  readonly state: string;
  readonly log: string;
}

async function create(lifetime: Lifetime, installation: Installation, options: readonly string[], agent: readonly string[]): Promise<Created> {
  const work = await temporaryFolder(lifetime, 0o755);
  const { code, stdout, stderr } = await installation.command(['runs', 'create', '--json', ...options, '--work', work, '--give-work', '--', ...agent]);
  if (code !== 0) throw new Error(stdout + stderr);
  return JSON.parse(stdout) as Created;
}

const view = async (installation: Installation, run_id: string): Promise<RunView> => (await installation.api<RunView>('GET', `/chat/run/${run_id}`)).body;

async function ended(installation: Installation, run_id: string): Promise<RunView> {
  return await until(`run ${run_id} to end`, async () => {
    const run = await view(installation, run_id);
    return run.ended_at !== null && run;
  }, 60_000);
}

/** Of the installation's own processes, the one that runs `script`. */
async function child({ up }: Installation, script: string): Promise<number> {
  return await until(`${script} to run`, async () => (await pids()).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/status`, 'utf8').includes(`PPid:\t${up.pid}\n`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(script);
    } catch {
      return false; // It ended between the two.
    }
  }));
}

const pids = async (): Promise<readonly number[]> => (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);

/** Processes whose command line holds a word that only the test's agent has. */
async function withWord(word: string): Promise<readonly number[]> {
  return (await pids()).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word);
    } catch {
      return false;
    }
  });
}

async function logHolds(log: string, text: string): Promise<void> {
  await until(`"${text}" in the agent's log`, async () => (await readFile(log, 'utf8').catch(() => '')).includes(text), 30_000);
}

/** An agent that says so when it has begun, and goes on until it is killed; `word` tells its processes from all others. */
const lingering = (word: string): readonly string[] => ['sh', '-c', `echo begun; sleep 600; : ${word}`];

test.serial('a run with a command gets its agent without a launcher, which reaches the site and nothing else, and its exit code ends the run', async (t) => {
  t.timeout(240_000);
  const zone = dnsZone(t);
  const installation = await startInstallation(t);
  const site = await startOrigin(t);
  const host = await zone.set('site', [site.address]);
  const run = await create(t, installation, ['--allow', `${host}:80:GET`], ['curl', '-sS', `http://${host}/there`]);
  t.is(run.state, 'Active');
  t.like(await ended(installation, run.run_id), { state: 'Done', exit_code: 0, channel: 'jail', assurance: 'jailed' });
  t.deepEqual(site.requests.map(({ target }) => target), ['/there']);
  t.is(await readFile(run.log, 'utf8'), 'hello\n');

  const failing = await create(t, installation, ['--allow', `${host}:80:GET`], ['sh', '-c', 'echo to-stderr >&2; curl -s http://elsewhere.test/; exit 7']);
  t.like(await ended(installation, failing.run_id), { state: 'Failed', exit_code: 7, reason: 'the agent ended with exit code 7' });
  t.true((await readFile(failing.log, 'utf8')).startsWith('to-stderr\n'));
  const shown = await installation.command(['runs', 'show', '--json', failing.run_id]);
  t.like(JSON.parse(shown.stdout), { state: 'Failed', exit_code: 7 });
  const { body } = await installation.api<Page<RunAction>>('GET', `/chat/run/${failing.run_id}/actions`);
  t.true(body.items.some(({ event }) => event.type === 'egress.denied'), 'the refused request is on record');

  const work = await temporaryFolder(t, 0o755);
  const { code, stdout } = await installation.command(['runs', 'create', '--json', '--work', `${work}/gone`, '--', 'true']);
  t.is(code, 0);
  const impossible = await ended(installation, (JSON.parse(stdout) as Created).run_id);
  t.like(impossible, { state: 'Failed', exit_code: null });
  t.regex(impossible.reason ?? '', /^the agent could not be started: .*gone/);
});

test.serial('queued runs of a session have their agents one after the other, and a cancelled one has none any more', async (t) => {
  t.timeout(240_000);
  const zone = dnsZone(t);
  const installation = await startInstallation(t);
  const site = await startOrigin(t);
  const host = await zone.set('site', [site.address]);
  const allow = ['--allow', `${host}:80:GET`];
  const first = await create(t, installation, allow, lingering('first-of-two'));
  const session = ['--queue', '--session', first.session_id];
  const second = await create(t, installation, [...allow, ...session], ['sh', '-c', `curl -s http://${host}/second; sleep 1; curl -s http://${host}/end-of-second`]);
  const third = await create(t, installation, [...allow, ...session], ['curl', '-s', `http://${host}/third`]);
  t.is(second.state, 'Queued');
  await logHolds(first.log, 'begun');
  t.not((await withWord('first-of-two')).length, 0);
  t.deepEqual(site.requests, [], 'what is queued has no agent');

  t.is((await installation.command(['runs', 'cancel', first.run_id])).code, 0);
  await until('the cancelled jail to be gone', async () => (await withWord('first-of-two')).length === 0, 30_000);
  for (const run of [second, third]) t.like(await ended(installation, run.run_id), { state: 'Done', exit_code: 0 });
  t.like(await view(installation, first.run_id), { state: 'Cancelled', exit_code: null });
  t.deepEqual(site.requests.map(({ target }) => target), ['/second', '/end-of-second', '/third']);

  const late = await create(t, installation, ['--budget', 'wall_clock_ms=2000'], lingering('out-of-time'));
  t.like(await ended(installation, late.run_id), { state: 'Failed', reason: 'wall clock budget is used up' });
  await until('the jail of the run that is out of time to be gone', async () => (await withWord('out-of-time')).length === 0, 30_000);
});

test.serial('kill -9 of the control plane costs an agent nothing; kill -9 of the jail host ends its agents, and their runs say so', async (t) => {
  t.timeout(240_000);
  const installation = await startInstallation(t);
  const work = await temporaryFolder(t, 0o755);
  const patient = await installation.command(['runs', 'create', '--json', '--work', work, '--give-work', '--', 'sh', '-c', 'echo begun; while [ ! -e go ]; do sleep 0.1; done; echo done; exit 0']);
  const run = JSON.parse(patient.stdout) as Created;
  await logHolds(run.log, 'begun');
  const before = await child(installation, 'control-plane/main.ts');
  process.kill(before, 'SIGKILL');
  // It ends while nobody is there to be told.
  await writeFile(`${work}/go`, '');
  await logHolds(run.log, 'done');
  t.like(await ended(installation, run.run_id), { state: 'Done', exit_code: 0 });
  t.not(await child(installation, 'control-plane/main.ts'), before);

  const lost = await create(t, installation, [], lingering('of-a-killed-host'));
  await logHolds(lost.log, 'begun');
  const started = Date.now();
  process.kill(await child(installation, 'jail-host.ts'), 'SIGKILL');
  t.like(await ended(installation, lost.run_id), { state: 'Failed', reason: 'agent lost', exit_code: null });
  t.true(Date.now() - started < 20_000, 'it was the lease that ended the run');
  await until('the jail to be gone', async () => (await withWord('of-a-killed-host')).length === 0, 30_000);
  const again = await create(t, installation, [], ['true']);
  t.like(await ended(installation, again.run_id), { state: 'Done', exit_code: 0 });

  const last = await create(t, installation, [], lingering('of-an-ended-up'));
  await logHolds(last.log, 'begun');
  t.is((await installation.command(['down'])).code, 0);
  t.deepEqual(await withWord('of-an-ended-up'), []);
});

test.serial('an up that would end by itself stays while a run of its own is active', async (t) => {
  t.timeout(240_000);
  const dataFolder = `${await temporaryFolder(t)}/d`;
  const work = await temporaryFolder(t, 0o755);
  const up = await startUp({
    dataFolder, listen: undefined, api: undefined, workers: 1, databaseUrl: undefined, idleMs: 2_500,
    policiesFolder: fileURLToPath(new URL('../../policies', import.meta.url)),
    childEnvironment: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' },
  }, systemClock);
  t.teardown(async () => {
    up.stop();
    await up.ended;
  });
  let over = false;
  void up.ended.then(() => { over = true; });
  const api = localApi(`${dataFolder}/api.sock`);
  const { run_id } = await api.call<CreatedRun>('POST', '/chat/run', { body: { goal: 'stay', channel: 'jail', command: { argv: ['sh', '-c', 'sleep 6'], work, give_work: true } } });
  const run = await until('the run to end', async () => {
    const now = await api.call<RunView>('GET', `/chat/run/${run_id}`);
    return now.ended_at !== null && now;
  }, 60_000);
  t.like(run, { state: 'Done' });
  t.false(over);
  await until('the idle up to end', () => over, 30_000);
});
