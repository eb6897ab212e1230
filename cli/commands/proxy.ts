import type { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { systemClock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { collect, dataFolderOf, dataOption, example, jsonOption, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { UsageError } from '../failure.ts';
import { listenOption, workersOption } from '../up/options.ts';
import { compileCacheVariable } from '../up/compile-cache.ts';
import { describeReady } from '../up/describe.ts';
import { startProxy, type ProxyOptions } from '../up/proxy-supervisor.ts';
import { proxyTokenShape } from '../up/proxy-token.ts';
import { readUpstreamAuthorities } from '../up/upstream-authorities.ts';
import { readUpstreamProxies } from '../up/upstream-proxies.ts';
import { stopOnSignals } from '../up/signals.ts';

interface Options extends TargetOptions {
  readonly controlPlane?: string;
  readonly listen: string;
  readonly workers: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly upstreamProxies?: string;
  readonly upstreamCa?: readonly string[];
  readonly insecureControlPlane?: boolean;
  readonly withoutTls?: boolean;
}

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    .option('--control-plane <url>', 'the API of the sallyport up that it belongs to, such as https://sallyport.example:3129')
    .option('--listen <host:port>', 'where it takes agents with credentials', '127.0.0.1:3128')
    .option('--workers <n>', 'proxy workers', '1')
    .option('--token-file <file>', 'what sallyport proxy token says there (default: SALLYPORT_PROXY_TOKEN)')
    .option('--ca <file>', 'certificate (PEM) to trust for the control plane, instead of the system\'s')
    .option('--upstream-proxies <file>', 'by which proxy of yours which hosts are reached (docs/operations.md)')
    .option('--upstream-ca <file>', 'certificates (PEM) of authorities to trust for origins, beside the system\'s; may be given more than once', collect)
    .option('--insecure-control-plane', 'allow http:// to other machines: the token is then readable on the network')
    .option('--without-tls', 'allow --listen on addresses other than loopback: tokens are then readable on the network')
    .action((options: Options) => proxy(options, environment));
  example(command, 'sallyport proxy --control-plane https://sallyport.example:3129 --token-file proxy.token');
}

async function proxy(options: Options, environment: Environment): Promise<void> {
  const { warnings, ...read } = readOptions(options, environment);
  for (const warning of warnings) process.stderr.write(`sallyport: ${warning}\n`);
  const started = await startProxy(read, systemClock).catch((error: unknown) => { throw inWordsOfProxy(error, read.controlPlane.url); });
  stopOnSignals(started);
  process.stdout.write(options.json === true ? `${JSON.stringify({ ready: true, pid: process.pid, ...started.report })}\n` : describeReady(started.report, read.dataFolder));
  await started.ended;
  if (options.json !== true) process.stdout.write('The proxy has ended.\n');
}

/** The catalogue's steps are for other callers: this one can mend its token, or the URL. */
function inWordsOfProxy(error: unknown, url: string): unknown {
  if (!(error instanceof SallyportError)) return error;
  if (error.code === 'unauthenticated') {
    return new SallyportError(error.code, `The control plane at ${url} does not know this proxy token.`, { cause: error, next_steps: ['Take the one that sallyport proxy token says where its up runs.'] });
  }
  if (error.code !== 'control_plane_unreachable') return error;
  return new SallyportError(error.code, error.message, { cause: error, next_steps: [`Check that sallyport up runs there, and that --control-plane ${url} is its API.`] });
}

/** All mistakes of the command line are told together; then all of what it names. */
function readOptions(options: Options, environment: Environment): ProxyOptions & { readonly warnings: readonly string[] } {
  const sentences: string[] = [];
  const warnings: string[] = [];
  const url = readUrl(options, sentences, warnings);
  const listen = listenOption('--listen', options.listen, options.withoutTls === true, sentences);
  const workers = workersOption(options.workers, sentences);
  if (url === undefined || listen === undefined || workers === undefined || sentences.length > 0) throw new UsageError(sentences);

  const errors: { path: string; message: string }[] = [];
  const token = readToken(options, environment, errors);
  const ca = options.ca === undefined ? undefined : readCertificate(options.ca, errors);
  if (token === undefined || errors.length > 0) {
    throw new SallyportError('configuration', `The proxy cannot start so: ${errors.map(({ path, message }) => `${path} ${message}`).join('; ')}.`, { errors });
  }
  return {
    dataFolder: dataFolderOf(options, environment), listen, workers, token, warnings,
    upstreamProxies: options.upstreamProxies === undefined ? [] : readUpstreamProxies(resolve(options.upstreamProxies)),
    upstreamCa: readUpstreamAuthorities(options.upstreamCa ?? []),
    controlPlane: { url: url.origin, ...(ca !== undefined && { ca }) },
    childEnvironment: { ...environment.forChildren, ...compileCacheVariable() },
  };
}

function readUrl({ controlPlane: text, insecureControlPlane, ca }: Options, sentences: string[], warnings: string[]): URL | undefined {
  if (text === undefined) {
    sentences.push('--control-plane is missing: name the API of the sallyport up that this proxy belongs to.');
    return undefined;
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    sentences.push('--control-plane is not an http or https URL.');
    return undefined;
  }
  // The text may hold a secret, so it isn't repeated.
  if (url.username !== '' || url.password !== '') sentences.push('--control-plane holds credentials: the token goes into --token-file or SALLYPORT_PROXY_TOKEN.');
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') sentences.push('--control-plane has a path, which the API has none of: end it with the port.');
  if (url.protocol === 'http:' && ca !== undefined) sentences.push('--ca is of no use with an http URL.');
  if (url.protocol === 'http:' && !['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)) {
    if (insecureControlPlane !== true) sentences.push('--control-plane must be https, since the proxy\'s token would cross the network readable: put TLS before the API, or add --insecure-control-plane.');
    else warnings.push(`warning: the proxy's token crosses the network to ${url.host} readable.`);
  }
  return url;
}

function readToken({ tokenFile }: Options, environment: Environment, errors: { path: string; message: string }[]): string | undefined {
  const path = tokenFile === undefined ? 'SALLYPORT_PROXY_TOKEN' : '--token-file';
  let token: string | undefined = environment.proxyToken;
  if (tokenFile !== undefined) {
    try {
      token = readFileSync(tokenFile, 'utf8').trim();
    } catch (error) {
      errors.push({ path, message: `cannot be read: ${resolve(tokenFile)} (${(error as NodeJS.ErrnoException).code})` });
      return undefined;
    }
  }
  if (token !== undefined && proxyTokenShape.test(token)) return token;
  errors.push({ path, message: token === undefined ? 'is missing (or --token-file): sallyport proxy token says it where the control plane is' : 'does not hold a proxy token (sp_px_...)' });
  return undefined;
}

function readCertificate(file: string, errors: { path: string; message: string }[]): string | undefined {
  try {
    const text = readFileSync(file, 'utf8');
    return new X509Certificate(text).toString() === '' ? undefined : text;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    errors.push({ path: '--ca', message: code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR' ? `cannot be read: ${resolve(file)} (${code})` : 'does not hold a certificate in PEM' });
    return undefined;
  }
}
