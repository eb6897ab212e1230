import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { Clock } from '../../contracts/clock.ts';
import { systemClock } from '../../contracts/clock.ts';
import type { StreamMessage } from '../../contracts/data-plane.ts';
import { SallyportError, type Problem } from '../../contracts/errors.ts';
import type { Configuration } from '../../control-plane/config.ts';
import { startControlPlane, type ControlPlane } from '../../control-plane/control-plane.ts';
import type { Bundle } from '../../control-plane/policies/commands.ts';
import { makeTemplate } from '../../control-plane/database/make-template.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until, within } from '../helpers/wait.ts';

export const proxyToken = `sp_px_${'p'.repeat(43)}`;
export const revision = 'a'.repeat(64);

export interface Answer<T> {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: T;
  readonly text: string;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TestControlPlane {
  readonly folder: string;
  readonly controlPlane: ControlPlane;
  /** Errors that were our own fault. */
  readonly faults: readonly SallyportError[];
  call<T = Problem>(method: string, path: string, options?: CallOptions): Promise<Answer<T>>;
  stop(): Promise<void>;
}

export interface Options {
  readonly folder?: string;
  readonly databaseUrl?: string;
  readonly clock?: Clock;
  readonly configuration?: Partial<Configuration>;
  /** For proxies that are real; to the control plane alone a bundle is bytes with a name. */
  readonly bundle?: Bundle;
}

/** A whole control plane, in this process, on the real database that the options name (PGlite unless there is a URL). */
export async function startTestControlPlane(lifetime: Lifetime, options: Options = {}): Promise<TestControlPlane> {
  await makeTemplate();
  const folder = options.folder ?? await temporaryFolder(lifetime);
  const faults: SallyportError[] = [];
  const configuration: Configuration = {
    data_folder: folder,
    api_socket: join(folder, 'api.sock'),
    policies_folder: '/nowhere',
    data_plane_token: proxyToken,
    ...options.databaseUrl !== undefined && { database_url: options.databaseUrl },
    ...options.configuration,
  };
  const controlPlane = await startControlPlane(configuration, {
    clock: options.clock ?? systemClock,
    onFault: (error) => { faults.push(error); },
    loadBundle: async () => await Promise.resolve(options.bundle ?? { revision, body: Buffer.from('{"bundle":true}') }),
  });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => stopped ??= controlPlane.stop();
  lifetime.teardown(stop);
  return { folder, controlPlane, faults, stop, call: (method, path, callOptions) => call({ socketPath: configuration.api_socket }, method, path, callOptions) };
}

export async function call<T>(target: { readonly socketPath: string } | { readonly host: string; readonly port: number }, method: string, path: string, { body, token, headers = {} }: CallOptions = {}): Promise<Answer<T>> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const bytes = body === undefined || body instanceof Buffer ? body : JSON.stringify(body);
    request({ ...target, method, path, agent: false, headers: { ...headers, ...token !== undefined && { authorization: `Bearer ${token}` } } }, resolve)
      .on('error', reject).end(bytes);
  });
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  const json = /[/+]json$/.test(response.headers['content-type']?.split(';')[0] ?? '');
  return { status: response.statusCode ?? 0, headers: response.headers, text, body: (json ? JSON.parse(text) : text) as T };
}

export interface TestStream<T> {
  readonly messages: readonly T[];
  /** The first message, past or to come, that fits; each is given once to each description. */
  wait(what: string, fits: (message: T) => boolean): Promise<T>;
  readonly ended: Promise<void>;
  pause(): void;
  end(): void;
}

/** Opens an answer that goes on. `parse` takes whole pieces, ended by `separator`. */
export async function openStream<T>(lifetime: Lifetime, socketPath: string, path: string, separator: string, parse: (text: string) => T | undefined, token?: string): Promise<TestStream<T>> {
  const response = await within(`the beginning of ${path}`, new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path, agent: false, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }, resolve).on('error', reject).end();
  }));
  if (response.statusCode !== 200) throw new Error(`${path} answered ${response.statusCode}`);
  const messages: T[] = [];
  let rest = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const pieces = (rest + chunk).split(separator);
    rest = pieces.pop()!;
    for (const piece of pieces) {
      const message = parse(piece);
      if (message !== undefined) messages.push(message);
    }
  });
  response.on('error', () => { /* Broken off; `ended` says so. */ });
  const ended = new Promise<void>((resolve) => { response.once('close', resolve); });
  const end = (): void => { response.destroy(); };
  lifetime.teardown(end);
  return {
    messages,
    wait: (what, fits) => until(what, () => messages.find(fits)),
    ended,
    pause: () => { response.pause(); },
    end,
  };
}

/** A proxy's end of the push stream. With `acknowledges` it does so as a proxy does. */
export async function openProxyStream(lifetime: Lifetime, { folder, call }: TestControlPlane, proxy_id: string, acknowledges = true, journal_id?: string): Promise<TestStream<StreamMessage>> {
  let last = Promise.resolve<unknown>(undefined);
  const stream = await openStream<StreamMessage>(lifetime, join(folder, 'api.sock'), `/data-plane/stream?proxy_id=${proxy_id}${journal_id === undefined ? '' : `&journal_id=${journal_id}`}`, '\n', (text) => {
    const message = JSON.parse(text) as StreamMessage;
    if (acknowledges && 'version' in message && message.type !== 'bundle') {
      last = last.then(() => call('POST', '/data-plane/acknowledgements', { token: proxyToken, body: { proxy_id, version: message.version, revision } }).catch(() => undefined));
    }
    return message;
  }, proxyToken);
  await stream.wait('synced', (message) => message.type === 'synced');
  return stream;
}
