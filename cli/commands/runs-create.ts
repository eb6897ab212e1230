import type { Command } from 'commander';
import { SallyportError } from '../../contracts/errors.ts';
import type { CreatedRun } from '../../contracts/run-api.ts';
import { apiOf, dataFolderOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { UsageError } from '../failure.ts';
import { parseListenAddress } from '../listen-address.ts';
import { policyFlags, policyOf } from '../policy-flags.ts';
import type { PolicyFlags } from '../policy-options.ts';
import { formatAddress } from '../up/describe.ts';
import { openLink } from '../up/link-client.ts';

interface Options extends TargetOptions, PolicyFlags {
  readonly goal: string;
  readonly env?: boolean;
  readonly proxy?: string;
}

export function define(command: Command, environment: Environment): void {
  policyFlags(dataOption(jsonOption(command)))
    .option('--goal <text>', 'what the run is for', 'an agent with credentials')
    .option('--env', 'print export lines for a shell')
    .option('--proxy <host:port>', 'where the agent reaches the proxy (default: where the up of the data folder listens)')
    .action((options: Options) => create(options, environment));
  example(command, 'eval "$(sallyport runs create --allow example.org:80:GET --env)"');
}

async function create(options: Options, environment: Environment): Promise<void> {
  const { policy, budget } = policyOf(options);
  const api = apiOf(options, environment);
  const proxy = await proxyAddress(options, environment);
  const run = await api.call<CreatedRun>('POST', '/chat/run', {
    body: { goal: options.goal, channel: 'credentials', policy, ...(Object.keys(budget).length > 0 && { budget }) },
  });
  const url = `http://${run.run_id}:${run.agent_token}@${proxy}`;
  if (options.json === true) printJson({ ...run, proxy_url: url });
  else if (options.env === true) printLines(exports(run, url));
  else {
    printLines([
      `${run.run_id} ${run.state}`, '',
      'The agent\'s environment, shown only once (--env prints it for a shell):',
      ...exports(run, url).map((line) => `  ${line.replace(/^export /, '')}`),
    ]);
  }
}

/** Both spellings: curl reads `http_proxy` in lower case alone, others only capitals. */
function exports({ run_id }: CreatedRun, url: string): readonly string[] {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY'];
  return [
    ...names.flatMap((name) => [name, name.toLowerCase()]).map((name) => [name, url] as const),
    ...['NO_PROXY', 'no_proxy'].map((name) => [name, 'localhost,127.0.0.1,::1'] as const),
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
