import { createServer, request, type IncomingMessage } from 'node:http';
import { duplexPair, type Duplex } from 'node:stream';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { within } from '../../helpers/wait.ts';

/** A message as `node:http` reads it: the other opinion in our fuzz targets. */
export interface NodeRequest {
  readonly method: string;
  readonly url: string;
  readonly fields: readonly string[];
  readonly trailers: readonly string[];
  readonly body: string;
}
interface Connection {
  readonly requests: (NodeRequest & { body: string; trailers: readonly string[] })[];
  stumbled: boolean;
}

export type ReadByNode = (pieces: readonly Buffer[]) => Promise<{ readonly requests: readonly NodeRequest[]; readonly stumbled: boolean }>;

/** A strict server that reads one connection's bytes: each request on it, and whether it stumbled. */
export function nodeServer(lifetime: Lifetime): ReadByNode {
  const connections = new Map<Duplex, Connection>();
  const server = createServer({ insecureHTTPParser: false, requireHostHeader: true, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 }, (message: IncomingMessage, answer) => {
    const seen = { method: message.method ?? '', url: message.url ?? '', fields: message.rawHeaders, trailers: [] as readonly string[], body: '' };
    connections.get(message.socket)!.requests.push(seen);
    message.setEncoding('latin1').on('data', (piece: string) => { seen.body += piece; }).on('end', () => {
      seen.trailers = message.rawTrailers;
      answer.end();
    });
  });
  server.on('clientError', (_error, socket) => {
    connections.get(socket)!.stumbled = true;
    socket.destroy();
  });
  lifetime.teardown(() => { server.close(); });
  return async (pieces) => {
    const [client, side] = duplexPair();
    const connection: Connection = { requests: [], stumbled: false };
    connections.set(side, connection);
    const closed = new Promise<void>((resolve) => { side.once('close', resolve); });
    server.emit('connection', side);
    client.on('data', () => { /* Answers are of no interest. */ }).on('error', () => { /* Seen on the other side. */ });
    for (const piece of pieces) client.write(piece);
    client.end();
    await within('the end of the connection at node:http', closed);
    connections.delete(side);
    return connection;
  };
}

export interface NodeResponse {
  readonly status: number;
  readonly reason: string;
  readonly fields: readonly string[];
  readonly trailers: readonly string[];
  readonly body: string;
  readonly interim: readonly number[];
  /** Read to its end, as its framing has it. */
  readonly complete: boolean;
}

/** What a client of `node:http` gets from what `write` puts on its connection; undefined where that is no answer to it. */
export async function nodeClient(method: string, write: (stream: Duplex) => void): Promise<NodeResponse | undefined> {
  const [client, side] = duplexPair();
  side.on('error', () => { /* Seen on the other side. */ }).resume();
  const interim: number[] = [];
  const response = await within('an answer at node:http', new Promise<NodeResponse | undefined>((resolve) => {
    const asked = request({ method, createConnection: () => client, insecureHTTPParser: false, headers: { connection: 'keep-alive' } });
    asked.on('information', ({ statusCode }) => { interim.push(statusCode); });
    asked.on('error', () => { resolve(undefined); });
    asked.on('upgrade', () => { resolve(undefined); });
    asked.on('response', (message) => {
      let body = '';
      const told = (): void => {
        resolve({ status: message.statusCode ?? 0, reason: message.statusMessage ?? '', fields: message.rawHeaders, trailers: message.rawTrailers, body, interim, complete: message.complete });
      };
      message.setEncoding('latin1').on('data', (piece: string) => { body += piece; }).on('end', told).on('error', told).on('close', told);
    });
    asked.end();
    write(side);
  }));
  client.destroy();
  side.destroy();
  return response;
}
