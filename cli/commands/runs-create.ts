import type { Command } from 'commander';
import { resolve } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';
import type { CreatedRun } from '../../contracts/run-api.ts';
import { apiOf, dataFolderOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { agentLog } from '../data-folder-paths.ts';
import { UsageError } from '../failure.ts';
import { parseListenAddress } from '../listen-address.ts';
import { policyFlags, policyOf } from '../policy-flags.ts';
import type { PolicyFlags } from '../policy-options.ts';
import { handOver } from '../run/hand-over.ts';
import { escapeText, formatDuration } from '../text.ts';
import { trustAdvice } from '../trust-advice.ts';
import { formatAddress } from '../up/describe.ts';
import { openLink } from '../up/link-client.ts';

interface Options extends TargetOptions, PolicyFlags {
  readonly goal?: string;
  readonly env?: boolean;
  readonly proxy?: string;
  readonly session?: string;
  readonly queue?: boolean;
  readonly work?: string;
  readonly giveWork?: boolean;
}

export function define(command: Command, environment: Environment): void {
  policyFlags(dataOption(jsonOption(command)))
    .argument('[command...]', 'an agent and its arguments, after --: it is started in a jail once the run is active, and needs no terminal')
    .option('--goal <text>', 'what the run is for (default: the command)')
    .option('--session <id>', 'the session that the run belongs to (default: a new one)')
    .option('--queue', 'wait while another run of the session is active')
    .option('--work <dir>', 'with a command: the folder that the agent shares with this machine (default: .)')
    .option('--give-work', 'with a command, as root: hand the work folder to the uid that the agent runs as')
    .option('--env', 'print export lines for a shell')
    .option('--proxy <host:port>', 'where the agent reaches the proxy (default: where the up of the data folder listens)')
    .passThroughOptions()
    .action((argv: readonly string[], options: Options) => argv.length > 0 ? createWithCommand(argv, options, environment) : create(options, environment));
  example(command, 'eval "$(sallyport runs create --allow example.org:80:GET --env)"', 'sallyport runs create --allow example.org:GET --queue -- curl -s https://example.org/');
}

async function createWithCommand(argv: readonly string[], options: Options, environment: Environment): Promise<void> {
  if (options.env === true || options.proxy !== undefined) throw new UsageError(['--env and --proxy are for agents that are started elsewhere; with a command, Sallyport starts the agent in a jail.']);
  if (environment.remote !== undefined && options.data === undefined) {
    throw new SallyportError('not_supported', 'A jail needs an up on this machine, and SALLYPORT_URL names another one.', { next_steps: ['Unset SALLYPORT_URL, or give --data.'] });
  }
  const { policy, budget } = policyOf(options, 'jail');
  const dataFolder = dataFolderOf(options, environment);
  const run = await handOver(dataFolder, environment, {
    goal: options.goal ?? argv.join(' ').slice(0, 500).toWellFormed(), agent: argv[0]!.slice(0, 200).toWellFormed(), channel: 'jail', policy,
    ...(Object.keys(budget).length > 0 && { budget }), ...session(options),
    command: { argv: [...argv], work: resolve(options.work ?? '.'), give_work: options.giveWork ?? false },
  });
  const log = agentLog(dataFolder, run.run_id);
  if (options.json === true) printJson({ ...run, log });
  else printLines([`${run.run_id} ${run.state}`, `  session  ${run.session_id}`, `  log      ${escapeText(log, 500)}`]);
}

function session({ session: session_id, queue }: Options): { readonly session_id?: string; readonly queue?: true } {
  return { ...(session_id !== undefined && { session_id }), ...(queue === true && { queue }) };
}

async function create(options: Options, environment: Environment): Promise<void> {
  if (options.work !== undefined || options.giveWork === true) throw new UsageError(['--work and --give-work need a command after --.']);
  const { policy, budget } = policyOf(options, 'credentials');
  const api = apiOf(options, environment);
  const proxy = await proxyAddress(options, environment);
  const run = await api.call<CreatedRun>('POST', '/chat/run', {
    body: { goal: options.goal ?? 'an agent with credentials', channel: 'credentials', policy, ...session(options), ...(Object.keys(budget).length > 0 && { budget }) },
  });
  // What the run may reach by the proxy must not go around it.
  const direct = loopback.filter((host) => policy.allow?.some((entry) => entry.host === host) !== true);
  const url = `http://${run.run_id}:${run.agent_token}@${proxy}`;
  // On standard error: what `eval` reads stays as it is, and nobody is surprised by the end.
  if (options.json !== true) process.stderr.write(`${run.run_id} ends in ${formatDuration(run.deadline_at - run.created_at)}; --budget wall_clock=1h gives it longer.\n`);
  const advice = run.policy.intercept ? trustAdvice(namedFolder(options, environment)) : [];
  if (options.json !== true) for (const line of advice) process.stderr.write(`${escapeText(line, 1000)}\n`);
  if (options.json === true) printJson({ ...run, proxy_url: url, ...advice.length > 0 && { trust: advice } });
  else if (options.env === true) printLines(exports(run, url, direct));
  else {
    printLines([
      `${run.run_id} ${run.state}`, '',
      'The agent\'s environment, shown only once (--env prints it for a shell):',
      ...exports(run, url, direct).map((line) => `  ${line.replace(/^export /, '')}`),
    ]);
  }
}

/** Whoever follows the advice may not have our environment. */
function namedFolder(options: Options, environment: Environment): string | undefined {
  return options.data === undefined && (environment.remote !== undefined || environment.variable('SALLYPORT_DATA') === undefined) ? undefined : dataFolderOf(options, environment);
}

/** A server that an agent starts for itself is reached directly. */
const loopback: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** Both spellings: curl reads `http_proxy` in lower case alone, others only capitals. */
function exports({ run_id }: CreatedRun, url: string, direct: readonly string[]): readonly string[] {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY'];
  return [
    ...names.flatMap((name) => [name, name.toLowerCase()]).map((name) => [name, url] as const),
    ...['NO_PROXY', 'no_proxy'].map((name) => [name, direct.join(',')] as const),
    ['NODE_USE_ENV_PROXY', '1'] as const,
    ['SALLYPORT_RUN_ID', run_id] as const,
  ].map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`);
}

async function proxyAddress(options: Options, environment: Environment): Promise<string> {
  if (options.proxy !== undefined) {
    const parsed = /^[A-Za-z0-9.-]+:[0-9]{1,5}$/.test(options.proxy) ? { value: options.proxy } : parseListenAddress(options.proxy);
    if ('mistake' in parsed) throw new UsageError([`--proxy: ${parsed.mistake}.`]);
    return options.proxy;
  }
  if (environment.remote !== undefined && options.data === undefined) throw new UsageError(['--proxy is needed: where the proxy of that control plane listens is not known here.']);
  const folder = dataFolderOf(options, environment);
  const link = await openLink(folder);
  if (link === undefined) throw new SallyportError('control_plane_unreachable', `Nothing runs on ${folder}.`);
  try {
    const state = await link.state;
    const address = state.kind === 'ready' ? formatAddress(state.addresses['proxy']) : undefined;
    if (address === undefined) {
      throw new SallyportError('control_plane_unreachable', 'The running up listens on no TCP address, so an agent without a jail cannot reach its proxy.', {
        next_steps: ['End it with sallyport down, then start sallyport up.'],
      });
    }
    return address;
  } finally {
    link.close();
  }
}
