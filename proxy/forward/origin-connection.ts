import { connect, type Socket } from 'node:net';
import { toSallyportError } from '../../contracts/errors.ts';
import type { Permit } from '../enforce/permit.ts';
import type { Protocol } from '../wire/alpn.ts';
import type { DialContext } from './context.ts';
import { dial, type Dialling } from './dial.ts';
import { secure } from './tls/secure.ts';

/** A connection to an origin that nobody has spoken HTTP on yet. Bytes come by `data` once somebody listens. */
export interface OriginConnection {
  readonly socket: Socket;
  /** What was permitted; recorded. */
  readonly address: string;
  readonly protocol: Protocol;
  readonly tls: OriginTls | undefined;
}

export interface OriginTls {
  /** As OpenSSL calls it: `TLSv1.3`. */
  readonly version: string;
  readonly resumed: boolean;
}

/**
 * Dials the permit's addresses and, for `https`, agrees on TLS that is verified for its host; never falls back to less. `alpn` is what is
 * offered, the favourite first; a server that does not choose speaks HTTP/1.1. In clear text the first of them is spoken unasked.
 */
export function dialOrigin(permit: Permit, context: DialContext, alpn: readonly [Protocol, ...Protocol[]]): Dialling<OriginConnection> {
  try {
    // Where nothing can be verified nothing is dialled.
    if (permit.scheme === 'https') context.secureContext();
  } catch (error) {
    return { connected: Promise.reject(toSallyportError(error)), cancel: nothing };
  }
  const dialling = dial(permit, open, context.clock, context.limits);
  let cancelled = false;
  let handshake: Dialling<Socket> | undefined;
  const connected = dialling.connected.then(async (opened): Promise<OriginConnection> => {
    const { address, socket } = opened;
    if (cancelled) return await never();
    if (permit.scheme === 'http') {
      // What came behind an upstream proxy's answer.
      opened.read = (bytes) => { socket.unshift(bytes); };
      leave(opened);
      return { socket, address, protocol: alpn[0], tls: undefined };
    }
    const securing = secure(socket, permit, context, alpn);
    handshake = securing;
    // Nobody speaks before its client in TLS; an upstream proxy may have something to say nonetheless.
    opened.read = () => { socket.destroy(); };
    leave(opened);
    const secured = await securing.connected;
    if (cancelled) return await never();
    return {
      socket: secured, address, protocol: secured.alpnProtocol === 'h2' ? 'h2' : 'http/1.1',
      tls: { version: secured.getProtocol() ?? '', resumed: secured.isSessionReused() },
    };
  });
  return {
    connected,
    cancel: () => {
      cancelled = true;
      dialling.cancel();
      handshake?.cancel();
    },
  };
}

interface Opened {
  readonly address: string;
  readonly socket: Socket;
  read: (bytes: Buffer) => void;
  readonly onData: (bytes: Buffer) => void;
}

function open(address: string, { host, port }: { readonly host: string; readonly port: number }): Opened {
  const socket = connect({ host, port, noDelay: true, autoSelectFamily: false });
  const opened: Opened = { address, socket, read: nothing, onData: (bytes) => { opened.read(bytes); } };
  // An upstream proxy answers before anybody else has the connection.
  socket.on('data', opened.onData);
  socket.on('error', nothing);
  return opened;
}

/** Hands over to whoever reads next. */
function leave({ socket, onData }: Opened): void {
  socket.off('data', onData).pause();
}

function never(): Promise<never> {
  return new Promise(() => { /* Cancelled: nobody waits any more. */ });
}

function nothing(): void { /* Nobody has the connection, or its 'close' follows. */ }
