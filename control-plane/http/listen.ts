import { chmod, unlink } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SallyportError } from '../../contracts/errors.ts';
import { markLocal } from './authentication.ts';

export interface Listener {
  /** `host:port`, or the socket's path. */
  readonly address: string;
  /** Takes no new connections; settles when the requests in work have been answered, at the latest after the given milliseconds. */
  stop(milliseconds: number): Promise<void>;
}

/** Connections of one listener; beyond them the kernel's queue waits. */
const maxConnections = 4_096;
/** Milliseconds in which a request must have arrived whole. */
const requestMs = 30_000;
const headersMs = 10_000;
/** Clients of ours keep connections; one that is closed while they write to it would cost them a retry. */
const keepAliveMs = 60_000;
const idleLookMs = 20;

function makeServer(handler: RequestListener): Server {
  const server = createServer({
    requestTimeout: requestMs, headersTimeout: headersMs, keepAliveTimeout: keepAliveMs, maxHeaderSize: 16 * 1024,
  }, handler);
  server.maxConnections = maxConnections;
  return server;
}

/** The local API: a Unix socket that only our own user may open. */
export async function listenOnSocket(path: string, handler: RequestListener): Promise<Listener> {
  const server = makeServer(handler);
  server.on('connection', markLocal);
  // A killed predecessor leaves its socket; that it is gone is what the data folder's lock says.
  await unlink(path).catch((error: unknown) => { if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; });
  await listening(server, (done) => server.listen(path, done), path);
  await chmod(path, 0o600);
  return { address: path, stop: (milliseconds) => stopServer(server, milliseconds) };
}

export async function listenOnTcp({ host, port }: { readonly host: string; readonly port: number }, handler: RequestListener): Promise<Listener> {
  const server = makeServer(handler);
  await listening(server, (done) => server.listen(port, host, done), `${host}:${port}`);
  const { address, family, port: bound } = server.address() as AddressInfo;
  return { address: `${family === 'IPv6' ? `[${address}]` : address}:${bound}`, stop: (milliseconds) => stopServer(server, milliseconds) };
}

async function listening(server: Server, listen: (done: () => void) => void, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') reject(new SallyportError('port_in_use', `${address} is already in use.`, { cause: error }));
      else reject(new SallyportError('configuration', `Cannot listen on ${address}: ${error.message}.`, { cause: error }));
    });
    listen(resolve);
  });
}

async function stopServer(server: Server, milliseconds: number): Promise<void> {
  const closed = new Promise<void>((resolve) => { server.close(() => resolve()); });
  // Again and again: a connection whose last answer has just gone out is kept alive by its client.
  const idle = setInterval(() => server.closeIdleConnections(), idleLookMs);
  const timer = setTimeout(() => server.closeAllConnections(), milliseconds);
  await closed;
  clearInterval(idle);
  clearTimeout(timer);
}
