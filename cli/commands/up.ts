import type { Command } from 'commander';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../contracts/clock.ts';
import { collect, dataFolderOf, dataOption, example, jsonOption, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { localProblem, UsageError } from '../failure.ts';
import type { ListenAddress } from '../listen-address.ts';
import { describeReady } from '../up/describe.ts';
import { compileCacheVariable } from '../up/compile-cache.ts';
import type { StartMessage } from '../up/messages.ts';
import { listenOption, workersOption } from '../up/options.ts';
import { stopOnSignals } from '../up/signals.ts';
import { readUpstreamAuthorities } from '../up/upstream-authorities.ts';
import { readUpstreamProxies } from '../up/upstream-proxies.ts';
import { startUp, type UpOptions } from '../up/supervisor.ts';

/** How long an `up` that a run started stays after its last run. */
const idleMs = 60_000;

interface Options extends TargetOptions {
  readonly listen: string;
  readonly api: string;
  readonly policies?: string;
  readonly workers: string;
  readonly upstreamProxies?: string;
  readonly upstreamCa?: readonly string[];
  readonly socketsOnly?: boolean;
  readonly withoutTls?: boolean;
}

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    .option('--listen <host:port>', 'where the proxy takes agents with credentials', '127.0.0.1:3128')
    .option('--api <host:port>', 'where the API takes operators from elsewhere', '127.0.0.1:3129')
    .option('--policies <dir>', 'policy folder (default: the one that comes along)')
    .option('--workers <n>', 'proxy workers', '1')
    .option('--upstream-proxies <file>', 'by which proxy of yours which hosts are reached (docs/operations.md)')
    .option('--upstream-ca <file>', 'certificates (PEM) of authorities to trust for origins, beside the system\'s; may be given more than once', collect)
    .option('--sockets-only', 'no TCP at all; ends 60 s after its last run')
    .option('--without-tls', 'allow addresses other than loopback: tokens are then readable on the network')
    .action((options: Options) => up(options, environment));
  example(command, 'sallyport up --listen 127.0.0.1:3128');
}

async function up(options: Options, environment: Environment): Promise<void> {
  const link = process.send === undefined ? undefined : (message: StartMessage): void => { process.send?.(message); process.disconnect(); };
  try {
    const started = await startUp(readOptions(options, environment), systemClock);
    stopOnSignals(started);
    if (link === undefined) process.stdout.write(options.json === true ? `${JSON.stringify({ ready: true, pid: process.pid, ...started.report })}\n` : describeReady(started.report, dataFolderOf(options, environment)));
    else link({ type: 'ready' });
    await started.ended;
    if (link === undefined && options.json !== true) process.stdout.write('Sallyport has ended.\n');
  } catch (error) {
    link?.({ type: 'failed', problem: localProblem(error) });
    throw error;
  }
}

function readOptions(options: Options, environment: Environment): UpOptions {
  const sentences: string[] = [];
  const address = (flag: '--listen' | '--api', text: string): ListenAddress | undefined =>
    options.socketsOnly === true ? undefined : listenOption(flag, text, options.withoutTls === true, sentences);
  const listen = address('--listen', options.listen);
  const api = address('--api', options.api);
  const workers = workersOption(options.workers, sentences);
  if (workers === undefined || sentences.length > 0) throw new UsageError(sentences);
  return {
    dataFolder: dataFolderOf(options, environment),
    listen, api, workers,
    upstreamProxies: options.upstreamProxies === undefined ? [] : readUpstreamProxies(resolve(options.upstreamProxies)),
    upstreamCa: readUpstreamAuthorities(options.upstreamCa ?? []),
    policiesFolder: options.policies === undefined ? fileURLToPath(new URL('../../policies', import.meta.url)) : resolve(options.policies),
    databaseUrl: environment.databaseUrl,
    idleMs: options.socketsOnly === true ? idleMs : undefined,
    childEnvironment: { ...environment.forChildren, ...compileCacheVariable() },
  };
}
