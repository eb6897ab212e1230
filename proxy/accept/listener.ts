import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Source } from '../exchange.ts';
import { catalogueRefusal } from '../refusal.ts';
import { nowhere, Roster, type Enlisted } from '../roster.ts';
import type { Sweep } from '../wire/sweep.ts';
import type { ConnectionCaps } from './caps.ts';
import { ClientConnection } from './connection.ts';
import type { Handler } from './connection-options.ts';
import type { AcceptLimits } from './limits.ts';
import type { OnRefused } from './refused.ts';
import { serialiseRefusal } from './refusal.ts';

/** A run's own listener, or the one where clients bring credentials. */
export type ListenerSource = { readonly kind: 'run'; readonly run_id: string } | { readonly kind: 'tcp' };
export type ListenAddress = { readonly path: string } | { readonly host: string; readonly port: number };
/** An inherited socket is bound already; connections that wait in its queue outlive a worker. */
export type ListenOn = ListenAddress | { readonly descriptor: number };

export interface ListenerOptions {
  readonly listen: ListenOn;
  readonly clock: Clock;
  /** Shared by all listeners of a worker, as `sweep` and `limits` are. */
  readonly caps: ConnectionCaps;
  readonly sweep: Sweep;
  readonly limits: AcceptLimits;
  readonly onRefused?: OnRefused;
}

export interface Listener {
  /** Where it listens, with the port that port 0 became. */
  readonly address: ListenAddress;
  /** Stops listening, ends idle connections after a moment and others with their answer; what is left after `deadline_ms` is destroyed. */
  readonly stop: (deadline_ms: number) => Promise<void>;
}

/** Connections waiting to be accepted; the kernel cuts it to its own bound. */
const backlog = 4096;
/** Connections over the caps that are being answered; one more is dropped unanswered. */
const refusedAtOnce = 256;

interface Open extends Enlisted {
  readonly socket: Socket;
  /** Undefined while it is only told why it isn't served. */
  readonly connection: ClientConnection | undefined;
}

/** Listens; rejects with `port_in_use` or `data_folder` when it can't. A path that is left over from a killed worker is taken over. */
export async function createListener(source: ListenerSource, options: ListenerOptions, handler: Handler): Promise<Listener> {
  const { caps, limits, sweep, clock, onRefused } = options;
  const open = new Roster<Open>();
  let refused = 0;

  const refuse = (socket: Socket, code: 'overloaded' | 'rate_limited'): void => {
    if (refused >= refusedAtOnce) {
      socket.destroy();
      return;
    }
    refused++;
    const detail = code === 'overloaded' ? 'This proxy has as many connections as it can serve.' : `This ${source.kind === 'run' ? 'run' : 'address'} has as many connections as it may.`;
    const timer = clock.setTimeout(() => { socket.destroy(); }, limits.linger_ms, { background: true });
    const dropped: Open = { socket, connection: undefined, place: nowhere };
    open.add(dropped);
    socket.on('error', () => { /* 'close' follows. */ });
    socket.on('close', () => {
      refused--;
      timer.cancel();
      open.delete(dropped);
    });
    socket.resume();
    socket.end(serialiseRefusal(catalogueRefusal(code, detail), { json: true, close: true, head: false }));
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const from: Source = source.kind === 'run' ? source : { kind: 'tcp', remote: socket.remoteAddress ?? 'unknown' };
    const over = caps.enter(from);
    if (over !== undefined) return refuse(socket, over);
    const served: Open = { socket, place: nowhere, connection: new ClientConnection(socket, { source: from, inside: undefined, limits, sweep, ...(onRefused !== undefined && { onRefused }) }, handler) };
    open.add(served);
    socket.on('close', () => {
      caps.leave(from);
      open.delete(served);
    });
  });
  await listen(server, options.listen);
  const bound = server.address();
  const address = typeof bound === 'string' || bound === null ? { path: String(bound) } : { host: bound.address, port: bound.port };

  return {
    address,
    stop: (deadline_ms) => new Promise((resolve) => {
      const timer = clock.setTimeout(() => { for (const { socket } of open.all()) socket.destroy(); }, deadline_ms);
      server.close(() => {
        timer.cancel();
        resolve();
      });
      for (const { connection } of open.all()) connection?.stop();
    }),
  };
}

async function listen(server: Server, address: ListenOn): Promise<void> {
  if ('path' in address) await rm(address.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = 'path' in address ? address.path : 'port' in address ? `${address.host}:${address.port}` : 'The address';
      reject(new SallyportError('path' in address ? 'data_folder' : 'port_in_use', error.code === 'EADDRINUSE' ? `${where} is already in use.` : `Can't listen on ${where}: ${error.message}.`, { cause: error }));
    });
    server.listen('descriptor' in address ? { fd: address.descriptor, backlog } : { ...address, backlog }, resolve);
  });
  server.removeAllListeners('error');
  // Out of descriptors: that connection is lost, the listener is not.
  server.on('error', () => { /* Nothing to do. */ });
}
