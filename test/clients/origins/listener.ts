import { createServer as createHttpServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { createSecureServer, type Http2ServerRequest } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { listen } from '../../helpers/listen.ts';
import type { PrivateAuthority } from '../../helpers/private-authority.ts';
import { freshAddress } from '../../helpers/world.ts';

export type OriginRequest = IncomingMessage | Http2ServerRequest;
/** What the two have in common and the origins use. */
export interface OriginResponse {
  writeHead(status: number, headers?: Readonly<Record<string, string | number>>): unknown;
  write(chunk: string | Uint8Array): boolean;
  end(chunk?: string | Uint8Array): unknown;
  on(name: 'error' | 'close', listener: () => void): unknown;
}

export interface SiteRequest {
  readonly method: string;
  readonly target: string;
  readonly version: '1.1' | '2.0';
  readonly host: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values alternating, in order. */
  readonly rawHeaders: readonly string[];
  body(): Buffer;
  /** Octets of content that were sent back; undefined where the connection became another protocol's. */
  answered(): number | undefined;
}

export interface SiteConnection {
  /** Octets on the wire, TLS included, that came. */
  bytesIn(): number;
}

export interface Listener {
  readonly address: string;
  readonly requests: readonly SiteRequest[];
  readonly connections: readonly SiteConnection[];
}

export interface Answers {
  respond(request: OriginRequest, response: OriginResponse): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Serves the answers on an address of its own: on port 80, or with a certificate on port 443 in HTTP/1.1 and HTTP/2. */
export async function startListener(lifetime: Lifetime, answers: Answers, authority?: PrivateAuthority): Promise<Listener> {
  const requests: SiteRequest[] = [];
  const connections: SiteConnection[] = [];
  const sockets = new Set<Socket>();

  const take = (request: OriginRequest, response: OriginResponse): void => {
    let sent = 0;
    const count = <T extends string | Uint8Array | undefined>(chunk: T): T => {
      sent += chunk === undefined ? 0 : Buffer.byteLength(chunk);
      return chunk;
    };
    requests.push(record(request, () => sent));
    response.on('error', () => { /* The other side may go; what it sent is written down. */ });
    answers.respond(request, {
      writeHead: (status, headers) => response.writeHead(status, headers),
      write: (chunk) => response.write(count(chunk)),
      end: (chunk) => response.end(count(chunk)),
      on: (name, listener) => response.on(name, listener),
    });
  };
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    requests.push(record(request, () => undefined));
    answers.upgrade(request, socket, head);
  };
  const inner: Server = authority === undefined
    ? createHttpServer({ keepAliveTimeout: 0 }, (request, response) => take(request, response)).on('upgrade', upgrade)
    : createSecureServer({ key: authority.key, cert: authority.cert, allowHTTP1: true }, (request, response) => take(request, response))
      .on('upgrade', upgrade)
      .on('tlsClientError', () => { /* A client that does not trust us is its own test's finding. */ }) as unknown as Server;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => { /* A reset ends it, which is all. */ });
    connections.push({ bytesIn: () => socket.bytesRead });
    inner.emit('connection', socket);
  });
  const address = await freshAddress();
  await listen(server, () => server.listen(authority === undefined ? 80 : 443, address));
  lifetime.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { address, requests, connections };
}

function record(request: OriginRequest, answered: SiteRequest['answered']): SiteRequest {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('error', () => { /* A body that breaks off is short. */ });
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    version: request.httpVersionMajor === 2 ? '2.0' : '1.1',
    host: String(request.headers[':authority'] ?? request.headers.host),
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    body: () => Buffer.concat(chunks),
    answered,
  };
}
