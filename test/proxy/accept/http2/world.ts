import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { ExecutionContext } from 'ava';
import { systemClock, type Clock } from '../../../../contracts/clock.ts';
import type { Handler } from '../../../../proxy/accept/connection-options.ts';
import { acceptHttp2 } from '../../../../proxy/accept/http2/connection.ts';
import { acceptLimits, type AcceptLimits } from '../../../../proxy/accept/limits.ts';
import type { Refused } from '../../../../proxy/accept/refused.ts';
import type { Exchange, Framing, HeaderList, ResponseHead } from '../../../../proxy/exchange.ts';
import { Sweep } from '../../../../proxy/wire/sweep.ts';
import type { Certificate } from '../../../helpers/certificate.ts';

export interface Http2World {
  readonly port: number;
  readonly exchanges: readonly Exchange[];
  readonly refused: readonly Refused[];
  readonly sockets: readonly Socket[];
  readonly limits: AcceptLimits;
  stop(): void;
}

export interface Http2WorldOptions {
  readonly certificate?: Certificate;
  readonly limits?: Partial<AcceptLimits>;
  readonly clock?: Clock;
  /** Reads the first bytes and puts them back, as whoever looks for the preface does. */
  readonly looks?: boolean;
}

/** A server of nothing but `acceptHttp2`, in clear text or behind TLS. */
export async function startHttp2(t: ExecutionContext, handler: Handler, { certificate, limits: changed, clock = systemClock, looks = false }: Http2WorldOptions = {}): Promise<Http2World> {
  const limits = { ...acceptLimits, ...changed };
  const sweep = new Sweep(clock);
  const exchanges: Exchange[] = [];
  const refused: Refused[] = [];
  const sockets: Socket[] = [];
  const connections: { stop(): void }[] = [];
  const accept = (stream: Socket): void => {
    const inside = { kind: 'inside', authority: 'api.test:443', caller: 'the caller', tls: certificate === undefined ? undefined : { sni: 'api.test', version: 'TLSv1.3' } } as const;
    connections.push(acceptHttp2(stream, {
      source: { kind: 'tcp', remote: '127.0.0.1' }, inside, limits, sweep,
      onRefused: (one) => {
        refused.push(one);
        return 'eg_test';
      },
    }, (exchange) => {
      exchanges.push(exchange);
      return handler(exchange);
    }));
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => { /* 'close' follows. */ });
    if (certificate !== undefined) {
      const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ key: certificate.key, cert: certificate.cert }), ALPNProtocols: ['h2'] });
      secure.on('error', () => { /* 'close' follows. */ });
      secure.once('secure', () => { accept(secure); });
    } else if (looks) {
      socket.once('data', (bytes) => {
        socket.pause();
        socket.unshift(bytes);
        accept(socket);
      });
    } else {
      accept(socket);
    }
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    sweep.close();
    return new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
  });
  return { port: (server.address() as AddressInfo).port, exchanges, refused, sockets, limits, stop: () => { for (const connection of connections) connection.stop(); } };
}

export function answerHead(status: number, headers: HeaderList, framing: ResponseHead['framing'] = { kind: 'chunked' } satisfies Framing): ResponseHead {
  return { status, reason: 'OK', version: '1.1', headers, framing, keep_alive: true };
}

/** Answers 200 with a body. */
export function answer(exchange: Exchange, body: Buffer | string, headers: HeaderList = ['content-type', 'text/plain'], trailers: HeaderList = []): void {
  const { transfer } = exchange;
  const bytes = Buffer.from(body);
  transfer.begin(answerHead(200, headers));
  transfer.write(bytes);
  transfer.flush();
  transfer.end(trailers);
}

/** Answers 200 with so many octets, no faster than the client takes them. */
export function answerLarge({ transfer }: Exchange, length: number): Promise<void> {
  const piece = Buffer.alloc(65_536, 'x');
  return new Promise((resolve) => {
    let left = length;
    const go = (): void => {
      while (left > 0) {
        transfer.write(piece.subarray(0, left));
        left -= Math.min(left, piece.length);
        if (!transfer.flush()) return;
      }
      transfer.events = undefined;
      transfer.end([]);
      resolve();
    };
    transfer.events = { drained: go, gone: resolve };
    transfer.begin(answerHead(200, ['content-length', String(length)], { kind: 'length', bytes: length }));
    go();
  });
}

/** The whole body, by `readBody`. */
export function bodyOf(exchange: Exchange): Promise<{ readonly body: Buffer; readonly trailers: HeaderList }> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    exchange.transfer.readBody({
      data: (bytes) => { pieces.push(bytes); return true; },
      end: (trailers) => { resolve({ body: Buffer.concat(pieces), trailers }); },
      fail: (detail) => { reject(new Error(detail)); },
    });
  });
}

/** Answers each piece of the request's body as it comes. */
export function echoPieces({ transfer }: Exchange, headers: HeaderList = [], trailers: HeaderList = []): Promise<void> {
  return new Promise((resolve) => {
    transfer.begin(answerHead(200, headers));
    transfer.flush();
    transfer.readBody({
      data: (bytes) => {
        transfer.write(bytes);
        transfer.flush();
        return true;
      },
      end: () => {
        transfer.end(trailers);
        resolve();
      },
      fail: () => { /* It does not. */ },
    });
  });
}
