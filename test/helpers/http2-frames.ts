import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { within } from './wait.ts';

/** HTTP/2 by hand, for what no library would send: frames (RFC 9113, section 4.1) and heads of literal fields (RFC 7541, section 6.2.2). */

export const preface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const types = { data: 0, headers: 1, priority: 2, rst_stream: 3, settings: 4, push_promise: 5, ping: 6, goaway: 7, window_update: 8, continuation: 9 } as const;
export const flags = { end_stream: 1, ack: 1, end_headers: 4, padded: 8, priority: 32 } as const;
export const codes = { no_error: 0, protocol_error: 1, internal_error: 2, flow_control_error: 3, stream_closed: 5, frame_size_error: 6, refused_stream: 7, cancel: 8, compression_error: 9, enhance_your_calm: 11 } as const;

export function frame(type: number, flag: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flag;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** An integer with a prefix of `bits` (RFC 7541, section 5.1), `pattern` above it. */
export function hpackInteger(value: number, bits: number, pattern: number): Buffer {
  const most = (1 << bits) - 1;
  if (value < most) return Buffer.from([pattern | value]);
  const bytes = [pattern | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(rest % 128 + 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

const hpackText = (text: string): Buffer => Buffer.concat([hpackInteger(text.length, 7, 0), Buffer.from(text, 'latin1')]);

/** A field without indexing, or one that enters the dynamic table. */
export const literal = (name: string, value: string, indexed: boolean = false): Buffer => Buffer.concat([Buffer.from([indexed ? 0x40 : 0]), hpackText(name), hpackText(value)]);

export function headBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => literal(name, value)));
}

export const get = (path: string = '/', authority: string = 'api.test', scheme: string = 'http'): readonly (readonly [string, string])[] => [
  [':method', 'GET'], [':scheme', scheme], [':authority', authority], [':path', path],
];

export const settings = (entries: readonly (readonly [number, number])[] = []): Buffer => frame(types.settings, 0, 0, Buffer.concat(entries.map(([id, value]) => {
  const entry = Buffer.alloc(6);
  entry.writeUInt16BE(id, 0);
  entry.writeUInt32BE(value, 2);
  return entry;
})));

export const headers = (stream: number, fields: readonly (readonly [string, string])[], ends: boolean = true): Buffer => frame(types.headers, flags.end_headers | (ends ? flags.end_stream : 0), stream, headBlock(fields));

export const reset = (stream: number, code: number = codes.cancel): Buffer => frame(types.rst_stream, 0, stream, number32(code));

export interface Frame {
  readonly type: number;
  readonly flag: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A client that sends whatever it is told and keeps what comes. */
export interface RawClient {
  readonly socket: Duplex;
  readonly frames: readonly Frame[];
  send(...pieces: readonly Buffer[]): void;
  /** The first frame, of those that came and those that come, that `wanted` takes; rejects when the connection closes without it. */
  next(what: string, wanted: (frame: Frame) => boolean): Promise<Frame>;
  /** Code of the GOAWAY that ended it, undefined where there was none, once it is closed. */
  closed(): Promise<number | undefined>;
}

export function rawClient(socket: Duplex): RawClient {
  const frames: Frame[] = [];
  const waiting = new Set<() => void>();
  let held: Buffer = Buffer.alloc(0);
  let ended = false;
  const wake = (): void => { for (const look of waiting) look(); };
  socket.on('data', (bytes: Buffer) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 9) {
      const length = held.readUIntBE(0, 3);
      if (held.length < 9 + length) break;
      frames.push({ type: held[3]!, flag: held[4]!, stream: held.readUInt32BE(5), payload: held.subarray(9, 9 + length) });
      held = held.subarray(9 + length);
    }
    wake();
  });
  socket.on('error', () => { /* 'close' follows. */ });
  socket.on('close', () => {
    ended = true;
    wake();
  });
  const come = <T>(what: string, look: () => T | undefined): Promise<T> => within(what, new Promise<T>((resolve, reject) => {
    const check = (): void => {
      const found = look();
      if (found === undefined && !ended) return;
      waiting.delete(check);
      if (found === undefined) reject(new Error(`The connection closed without: ${what}`));
      else resolve(found);
    };
    waiting.add(check);
    check();
  }));
  return {
    socket, frames,
    send: (...pieces) => { if (!socket.destroyed) socket.write(Buffer.concat(pieces)); },
    next: (what, wanted) => come(what, () => frames.find(wanted)),
    closed: async () => {
      await come('the close of the connection', () => (ended ? true : undefined));
      return frames.findLast(({ type }) => type === types.goaway)?.payload.readUInt32BE(4);
    },
  };
}

/** Connects and greets. */
export function rawConnect(port: number, greeting: readonly Buffer[] = [preface, settings()]): RawClient {
  const socket: Socket = connect(port, '127.0.0.1');
  const client = rawClient(socket);
  client.send(...greeting);
  return client;
}
