import { createConnection, createServer, Socket } from 'node:net';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../contracts/clock.ts';
import { NameResolver, type Ask } from '../../proxy/enforce/resolver.ts';
import { parseConfiguration } from '../../proxy/config.ts';
import type { Disk } from '../../proxy/record/segment-file.ts';
import { startWorker, type Worker } from '../../proxy/worker.ts';
import { startFakeControlPlane, type FakeControlPlane } from './fake-control-plane.ts';
import type { Lifetime } from './lifetime.ts';
import { temporaryFolder } from './temporary.ts';
import { within } from './wait.ts';

export interface ProxyWorkerOptions {
  readonly clock?: Clock;
  readonly disk?: Disk;
  /** Addresses of names; what is missing does not exist. */
  readonly names?: Readonly<Record<string, readonly string[]>>;
  readonly ask?: Ask;
  /** Asks the name servers of `/etc/resolv.conf`, which are the test world's. */
  readonly realNames?: boolean;
  /** Gives the worker back although it may never be ready. */
  readonly unready?: boolean;
  readonly configuration?: object;
}

/** A worker inside the test's process, with a control plane that is a fake, and names of the test's choice. */
export interface ProxyWorker {
  readonly folder: string;
  readonly control: FakeControlPlane;
  readonly worker: Worker;
  readonly port: number;
  /** Names that were asked for. */
  readonly asked: readonly string[];
  stop(): Promise<void>;
}

/** All loopback: origins of these tests listen there, so their runs name the range. */
export const loopback = { allow_addresses: ['127.0.0.0/8'] } as const;

export async function startProxyWorker(lifetime: Lifetime, options: ProxyWorkerOptions = {}, existing?: { readonly folder: string; readonly control: FakeControlPlane }): Promise<ProxyWorker> {
  const folder = existing?.folder ?? await temporaryFolder(lifetime);
  const control = existing?.control ?? await startFakeControlPlane(lifetime, folder);
  const asked: string[] = [];
  const clock = options.clock ?? systemClock;
  const ask: Ask = (host, family) => {
    if (family === 4) asked.push(host);
    if (options.ask !== undefined) return options.ask(host, family);
    const addresses = options.names?.[host]?.filter((address) => address.includes(':') === (family === 6)) ?? [];
    if (addresses.length === 0) return Promise.reject(Object.assign(new Error('none'), { code: 'ENOTFOUND' }));
    return Promise.resolve({ addresses, ttlSeconds: 60 });
  };
  const configuration = parseConfiguration({
    data_folder: folder, slot: 0, control_plane: { socket_path: control.socketPath }, data_plane_token: control.token,
    listen: { host: '127.0.0.1', port: 0 }, ...options.configuration,
  });
  const worker = await startWorker(configuration, { clock, ...(options.realNames !== true && { resolver: new NameResolver(clock, ask) }), ...(options.disk !== undefined && { disk: options.disk }) });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= worker.stop(0));
  lifetime.teardown(stop);
  if (options.unready !== true) await within('the worker to be ready', worker.ready);
  return { folder, control, worker, port: (worker.address as { readonly port: number }).port, asked, stop };
}

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** Of a problem document. */
  readonly code: string | undefined;
  readonly problem: { readonly code?: string; readonly detail?: string; readonly next_steps?: readonly string[]; readonly reasons?: readonly { readonly rule: string }[] };
}

export type Place = { readonly port: number } | { readonly path: string };

/** One connection to the proxy, or TLS over one: raw bytes out, whole answers in. */
export class RawClient {
  readonly socket: Socket;
  #text = '';
  #changed: (() => void) | undefined;
  #closed = false;

  constructor(place: Place | Socket) {
    this.socket = place instanceof Socket ? place : 'port' in place ? createConnection(place.port, '127.0.0.1') : createConnection(place.path);
    this.socket.setEncoding('latin1');
    this.socket.on('data', (chunk: string) => { this.#text += chunk; this.#changed?.(); });
    this.socket.on('error', () => { /* 'close' says it. */ });
    this.socket.on('close', () => { this.#closed = true; this.#changed?.(); });
  }

  get text(): string { return this.#text; }
  get closed(): boolean { return this.#closed; }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Waits until `match` holds of what came so far, and gives that. */
  async until(what: string, match: (text: string) => boolean): Promise<string> {
    await within(what, new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (match(this.#text)) resolve();
        else if (this.#closed) reject(new Error(`Closed before ${what}; got ${JSON.stringify(this.#text)}`));
      };
      this.#changed = look;
      look();
    }));
    return this.#text;
  }

  /** Drops what came so far. */
  forget(): void {
    this.#text = '';
  }

  async ended(): Promise<string> {
    // `once` would reject on a reset, which is an end as well.
    await within('the connection to be closed', new Promise<void>((resolve) => {
      const look = (): void => { if (this.#closed) resolve(); };
      this.#changed = look;
      look();
    }));
    return this.#text;
  }

  /** The next whole answer with a Content-Length or without a body. */
  async answer(): Promise<Answer> {
    const text = await this.until('an answer', (all) => {
      const end = all.indexOf('\r\n\r\n');
      return end !== -1 && all.length >= end + 4 + lengthOf(all.slice(0, end));
    });
    const end = text.indexOf('\r\n\r\n');
    const head = text.slice(0, end);
    const length = lengthOf(head);
    const body = text.slice(end + 4, end + 4 + length);
    this.#text = text.slice(end + 4 + length);
    let problem: Answer['problem'] = {};
    if (/content-type: application\/problem\+json/i.test(head)) problem = JSON.parse(body) as Answer['problem'];
    return { status: Number(head.slice(9, 12)), head, body, problem, code: problem.code };
  }
}

function lengthOf(head: string): number {
  return Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
}

export interface RequestOptions {
  readonly method?: string;
  readonly authorization?: string;
  /** Without it `Host` is the target's authority. */
  readonly host?: string;
  readonly fields?: readonly string[];
  readonly body?: string;
}

export function head(target: string, options: RequestOptions = {}): string {
  const host = options.host ?? /^[a-z]+:\/\/([^/?]*)/.exec(target)?.[1] ?? target;
  return [
    `${options.method ?? 'GET'} ${target} HTTP/1.1`, `Host: ${host}`,
    ...options.authorization === undefined ? [] : [`Proxy-Authorization: ${options.authorization}`],
    ...options.fields ?? [], ...options.body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(options.body)}`], '', options.body ?? '',
  ].join('\r\n');
}

/** Sends one request on a connection of its own. */
export async function ask(place: Place, target: string, options: RequestOptions = {}): Promise<Answer> {
  const client = new RawClient(place);
  try {
    return await client.send(head(target, options)).answer();
  } finally {
    client.socket.destroy();
  }
}

export interface LocalOrigin {
  readonly port: number;
  readonly requests: readonly { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers'] }[];
}

/** A web server on loopback that writes down what it saw. */
export async function startLocalOrigin(lifetime: Lifetime, respond?: (request: IncomingMessage, response: ServerResponse) => void): Promise<LocalOrigin> {
  const requests: { method: string; url: string; headers: IncomingMessage['headers'] }[] = [];
  const server = createHttpServer((request, response) => {
    requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
    response.on('error', () => { /* The proxy may cut it. */ });
    if (respond === undefined) response.end('hello\n');
    else respond(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  lifetime.teardown(() => { server.close(); server.closeAllConnections(); });
  return { port: (server.address() as AddressInfo).port, requests };
}

/** A server of raw sockets on loopback. */
export async function startLocalServer(lifetime: Lifetime, onSocket: (socket: Socket) => void): Promise<{ readonly port: number; readonly sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => { /* 'close' says it. */ });
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  lifetime.teardown(() => { server.close(); for (const socket of sockets) socket.destroy(); });
  return { port: (server.address() as AddressInfo).port, sockets };
}

export const runSocket = (worker: ProxyWorker, shortId: string): Place => ({ path: join(worker.folder, 's', shortId) });
