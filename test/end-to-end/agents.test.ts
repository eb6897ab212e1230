/** Runs that the control plane owns: their agents are started and ended by the jail host, with no launcher at the keyboard. */
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Page, RunAction, RunView } from '../../contracts/run-api.ts';
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

test('a run with a command gets its agent without a launcher, which reaches the site and nothing else, and its exit code ends the run', async (t) => {
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

  const impossible = await create(t, installation, [], ['no-such-program']);
  const refused = await ended(installation, impossible.run_id);
  t.is(refused.state, 'Failed');
  t.log(refused.reason, refused.exit_code);
});
