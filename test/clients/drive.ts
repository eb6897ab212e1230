import { execFileSync } from 'node:child_process';
import { chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EgressRow } from '../../cli/report/egress.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { startProcess } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { ways, type Channel, type Client, type Place, type Refusal, type Step, type Way } from './client.ts';
import { programs, type ProgramsName } from './programs.ts';
import { trustFiles, type Scene } from './scene.ts';
import { trustVariables } from './trust.ts';

/** For one client's steps together; a machine under load is slow at starting so many programs. */
const deadline = 100_000;

/** What became of one step or refusal. */
export interface StepOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** When it began and ended, in milliseconds since 1970. */
  readonly began: number;
  readonly ended: number;
}

export interface Driven {
  readonly steps: readonly { readonly way: Way; readonly step: Step; readonly place: Place; readonly outcome: StepOutcome }[];
  readonly refusals: readonly { readonly refusal: Refusal; readonly place: Place; readonly outcome: StepOutcome }[];
  /** The run's whole record, oldest first. */
  readonly egress: readonly EgressRow[];
  /** What the run's whole process said, for a failure's sake. */
  readonly log: string;
}

/** A work folder that the runs of one test file share: linking thousands of files for each would cost more than the runs. */
export async function workFolder(lifetime: Lifetime, scene: Scene, names: ReadonlySet<ProgramsName>): Promise<string> {
  const work = await temporaryFolder(lifetime, 0o755);
  mkdirSync(join(work, 'tools'));
  for (const name of names) {
    const [from, to] = [programs(name), join(work, 'tools', name)];
    try {
      // Hard links where both lie on one file system.
      execFileSync('cp', ['-al', from, to], { stdio: 'pipe' });
    } catch {
      execFileSync('rm', ['-rf', to]);
      execFileSync('cp', ['-a', '--reflink=auto', from, to]);
    }
  }
  copyFileSync(new URL('programs/client.py', import.meta.url), join(work, 'tools/client.py'));
  mkdirSync(join(work, 'trust'));
  writeFileSync(join(work, 'trust', trustFiles.origin), scene.originAuthority);
  writeFileSync(join(work, 'trust', trustFiles.ours), await scene.ourAuthority());
  return work;
}

/** Sends the client through all its steps, in one run. */
export async function drive(lifetime: Lifetime, scene: Scene, work: string, client: Client, channel: Channel): Promise<Driven> {
  const steps = ways.flatMap((way) => {
    const place = scene.place(client, way, channel);
    return client.steps.filter((step) => step.ways?.includes(way) ?? true).map((step) => ({ way, step, place }));
  });
  const refusals = client.refusals.map((refusal) => ({
    refusal, place: refusal.of === 'host' ? scene.refused(channel) : scene.place(client, 'intercepted', channel),
  }));
  const name = `${client.name.replaceAll(/[^A-Za-z0-9]+/g, '-').toLowerCase()}-${channel}`;
  const folder = join(work, name);
  mkdirSync(folder);
  const all = [...steps.map(({ step, place }) => ({ command: step.command(place), place })), ...refusals.map(({ refusal, place }) => ({ command: refusal.command(place), place }))];
  for (const [index, { command, place }] of all.entries()) writeFileSync(join(folder, `${number(index)}.sh`), stepScript(command, place));
  writeFileSync(join(folder, 'all'), driver);
  // The first run in it gave the work folder away, with what was there by then.
  const { uid, gid } = statSync(work);
  if (channel === 'jail') for (const path of [folder, ...readdirSync(folder).map((file) => join(folder, file))]) chownSync(path, uid, gid);

  const options = policyOptions(scene, client, channel);
  const { egress, log } = channel === 'jail' ? await inJail(lifetime, scene, work, name, options) : await byCredentials(lifetime, scene, folder, options);
  const outcomes = all.map((_step, index) => readOutcome(folder, number(index), log));
  return {
    steps: steps.map((step, index) => ({ ...step, outcome: outcomes[index]! })),
    refusals: refusals.map((refusal, index) => ({ ...refusal, outcome: outcomes[steps.length + index]! })),
    egress,
    log,
  };
}

const number = (index: number): string => String(index).padStart(2, '0');

/** Runs the steps one after the other, each with its outputs, its exit code and its end in files of their own. */
const driver = `cd "$(dirname "$0")"
export WORK="$PWD" TOOLS="$PWD/../tools" TRUST="$PWD/../trust"
for step in [0-9]*.sh; do
  name="\${step%.sh}"
  started="$(date +%s%3N)"
  timeout 60 sh "$step" > "$name.stdout" 2> "$name.stderr" < /dev/null
  echo "$? $started $(date +%s%3N)" > "$name.end"
done
`;

function stepScript(command: string, place: Place): string {
  const variables = place.trust === undefined ? {} : trustVariables(place.trust);
  return `${Object.entries(variables).map(([key, value]) => `export ${key}="${value}"\n`).join('')}${command}\n`;
}

function readOutcome(folder: string, name: string, log: string): StepOutcome {
  const read = (kind: string): string => readFileSync(join(folder, `${name}.${kind}`), 'utf8');
  if (!existsSync(join(folder, `${name}.end`))) throw new Error(`Step ${name} never ended:\n${log}`);
  const [code = '', began = '', ended = ''] = read('end').trim().split(' ');
  return { code: Number(code), stdout: read('stdout'), stderr: read('stderr'), began: Number(began), ended: Number(ended) };
}

/** What the steps have said so far, of one that never ends. */
function tails(folder: string): string {
  return readdirSync(folder).filter((name) => /\.(?:stdout|stderr|end)$/.test(name)).toSorted().map((name) => `${name}: ${readFileSync(join(folder, name), 'utf8').slice(-500)}`).join('\n');
}

/** Everything that the client needs at its origin, and nothing below `/forbidden`. */
function policyOptions(scene: Scene, client: Client, channel: Channel): readonly string[] {
  const host = (way: Way): string => scene.place(client, way, channel).host;
  const paths = new Set(client.refusals.some(({ of }) => of === 'path') ? client.steps.flatMap((step) => step.seen(scene.place(client, 'intercepted', channel)).map(({ target }) => new URL(target, 'http://site.test').pathname)) : ['']);
  return [
    '--allow', `${host('plain')}:80:*`,
    ...[...paths].flatMap((path) => ['--allow', `${host('intercepted')}:443:*${path === '' ? '' : `:${path}`}`]),
    '--allow', `${host('passthrough')}:443:TUNNEL`,
  ];
}

interface Finished {
  readonly egress: readonly EgressRow[];
  readonly log: string;
}

async function inJail(lifetime: Lifetime, { installation }: Scene, work: string, name: string, options: readonly string[]): Promise<Finished> {
  const report = join(await temporaryFolder(lifetime), 'report.json');
  const process = installation.start(['run', ...options, '--work', work, '--give-work', '--report', report, '--', 'sh', `${name}/all`]);
  const { code } = await process.exit(deadline);
  const log = process.stdout() + process.stderr();
  if (code !== 0) throw new Error(`sallyport run ended with ${code}:\n${log}`);
  return { egress: (JSON.parse(readFileSync(report, 'utf8')) as { egress: EgressRow[] }).egress, log };
}

/** Nothing of this machine's own settings for the clients. */
const machineless = {
  PATH: process.env['PATH'],
  LANG: 'C.UTF-8',
  npm_config_globalconfig: '/dev/null',
  PIP_CONFIG_FILE: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
} as const;

async function byCredentials(lifetime: Lifetime, { installation }: Scene, folder: string, options: readonly string[]): Promise<Finished> {
  const created = await installation.command(['runs', 'create', '--intercept', ...options, '--env']);
  if (created.code !== 0) throw new Error(`sallyport runs create ended with ${created.code}:\n${created.stderr}`);
  const env = Object.fromEntries([...created.stdout.matchAll(/^export ([A-Za-z_]+)='?([^'\n]*)'?$/gm)].map(([, key, value]) => [key, value]));
  const run = /run_[0-9a-f-]+/.exec(env['HTTP_PROXY'] ?? '')?.[0];
  if (run === undefined) throw new Error(`No run in what runs create printed:\n${created.stdout}`);
  const home = await temporaryFolder(lifetime);
  const agent = startProcess(lifetime, 'sh', [join(folder, 'all')], { env: { ...machineless, HOME: home, TMPDIR: home, ...env } });
  await agent.exit(deadline).catch((error: unknown) => { throw new Error(`${String(error)}\n${tails(folder)}`, { cause: error }); });
  // Its record is complete once it has ended and all its events are in the chain.
  const cancelled = await installation.api('POST', `/chat/run/${run}/cancel`, {});
  if (cancelled.status !== 200) throw new Error(`The run was not cancelled: ${JSON.stringify(cancelled)}`);
  await until('all events of the run in the chain', async () => (await installation.api<{ settled: boolean }>('GET', `/chat/run/${run}/settled?wait_ms=5000`)).body.settled);
  const shown = await installation.command(['runs', 'show', run, '--json']);
  return { egress: (JSON.parse(shown.stdout) as { egress: EgressRow[] }).egress, log: agent.stdout() + agent.stderr() };
}
