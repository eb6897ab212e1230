import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Lifetime } from './lifetime.ts';
import { listen } from './listen.ts';
import { until } from './wait.ts';
import { freshAddress } from './world.ts';

/** Raw bytes kept of one connection; all are counted. */
const keptBytes = 8 * 1024 * 1024;

export interface SeenConnection {
  readonly from: string;
  /** What came, byte for byte, up to 8 MiB. */
  bytes(): Buffer;
  /** All that came, and all that was sent back. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly closed: boolean;
  readonly socket: Socket;
}

export interface SeenRequest {
  readonly method: string;
  /** The request target as spelled. */
  readonly target: string;
  /** Lower-case names; a repeated field is joined with a comma as Node does. */
  readonly headers: IncomingMessage['headers'];
  /** Names and values alternating, spelled and ordered as they came. */
  readonly rawHeaders: readonly string[];
  readonly connection: SeenConnection;
  body(): Buffer;
  trailers(): IncomingMessage['trailers'];
  /** Whether the body came to its end; false while it comes and when it broke off. */
  readonly complete: boolean;
}

export interface Origin {
  readonly address: string;
  readonly port: number;
  /** Every request whose head was complete, in order. Verdicts are taken from here. */
  readonly requests: readonly SeenRequest[];
  readonly connections: readonly SeenConnection[];
  /** The first request, past or to come, that matches. */
  request(what: string, match?: (request: SeenRequest) => boolean, deadline?: number): Promise<SeenRequest>;
  close(): Promise<void>;
}

export interface OriginOptions {
  /** Default: a public address of its own. One that another test listens on is waited for. */
  readonly address?: string;
  /** Default: 80. */
  readonly port?: number;
  /** Answers a request. Default: 200 and `hello`. The body has not come yet; `seen` gets it. */
  readonly respond?: (request: IncomingMessage, response: ServerResponse, seen: SeenRequest) => void;
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Takes over the connection in place of HTTP: for answers that no HTTP server would give, and for opaque tunnels. */
  readonly connection?: (socket: Socket, seen: SeenConnection) => void;
}

/** A server on an address of the world that writes down exactly what it saw. Ends with its lifetime, and its connections with it. */
export async function startOrigin(lifetime: Lifetime, options: OriginOptions = {}): Promise<Origin> {
  const requests: SeenRequest[] = [];
  const connections: SeenConnection[] = [];
  const bySocket = new WeakMap<Socket, SeenConnection>();

  // Node's own time limits would end slow tests' connections behind their back.
  const http = createHttpServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0, insecureHTTPParser: false }, (request, response) => {
    const connection = bySocket.get(request.socket);
    if (connection === undefined) throw new Error('A request without a connection.');
    const seen = record(request, connection);
    requests.push(seen);
    response.on('error', () => { /* The other side may go at any time; what was sent is counted. */ });
    (options.respond ?? hello)(request, response, seen);
  });
  if (options.upgrade !== undefined) http.on('upgrade', options.upgrade);

  const server = createServer((socket) => {
    const connection = watch(socket);
    connections.push(connection);
    bySocket.set(socket, connection);
    socket.on('error', () => { /* A reset is for the test to see as `closed`. */ });
    if (options.connection === undefined) http.emit('connection', socket);
    else options.connection(socket, connection);
  });
  const address = options.address ?? await freshAddress();
  const port = await listen(server, () => server.listen(options.port ?? 80, address));

  const close = async (): Promise<void> => {
    const closed = server.listening ? once(server, 'close') : undefined;
    server.close();
    http.closeAllConnections();
    for (const connection of connections) connection.socket.destroy();
    await closed;
  };
  lifetime.teardown(close);
  return {
    address,
    port,
    requests,
    connections,
    request: (what, match = () => true, deadline) => until(`at the origin: ${what}`, () => requests.find(match), deadline),
    close,
  };
}

/**
 * `data` listeners make Node hand the bytes to both this log and its HTTP parser, so what is logged is what was parsed.
 */
function watch(socket: Socket): SeenConnection {
  const chunks: Buffer[] = [];
  let kept = 0;
  let bytesIn = 0;
  let closed = false;
  // After the present turn: whoever takes the connection attaches its own reader first, and nothing is read before.
  process.nextTick(() => socket.on('data', (chunk: Buffer) => {
    bytesIn += chunk.length;
    if (kept >= keptBytes) return;
    const part = chunk.subarray(0, keptBytes - kept);
    chunks.push(Buffer.from(part));
    kept += part.length;
  }));
  socket.on('close', () => { closed = true; });
  return {
    from: socket.remoteAddress ?? '',
    socket,
    bytes: () => Buffer.concat(chunks),
    get bytesIn() { return bytesIn; },
    get bytesOut() { return socket.bytesWritten; },
    get closed() { return closed; },
  };
}

function record(request: IncomingMessage, connection: SeenConnection): SeenRequest {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('error', () => { /* A body that breaks off stays incomplete. */ });
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    connection,
    body: () => Buffer.concat(chunks),
    trailers: () => request.trailers,
    get complete() { return request.complete; },
  };
}

function hello(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/plain' }).end('hello\n');
}
