import { duplexPair } from 'node:stream';
import { connect, type ConnectionOptions } from 'node:tls';
import { within } from './wait.ts';

/** ClientHellos, real and made by hand, as bytes on the wire. */

/** What node:tls says first: one record. */
export async function captureHello(options: ConnectionOptions): Promise<Buffer> {
  const [near, far] = duplexPair();
  const client = connect({ ...options, socket: near });
  client.on('error', () => { /* Nobody answers. */ });
  const bytes = await within('a ClientHello', new Promise<Buffer>((resolve) => { far.once('data', resolve); }));
  client.destroy();
  far.destroy();
  return bytes;
}

const number = (width: number, value: number): Buffer => {
  const bytes = Buffer.alloc(width);
  bytes.writeUIntBE(value, 0, width);
  return bytes;
};
const vector = (width: number, content: Buffer): Buffer => Buffer.concat([number(width, content.length), content]);

export const record = (content: Buffer, type: number = 22, version: number = 0x0301): Buffer => Buffer.concat([Buffer.from([type]), number(2, version), vector(2, content)]);
export const message = (content: Buffer, type: number = 1): Buffer => Buffer.concat([Buffer.from([type]), vector(3, content)]);
export const extension = (type: number, content: Buffer): Buffer => Buffer.concat([number(2, type), vector(2, content)]);
export const serverName = (name: string): Buffer => extension(0, vector(2, Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(name, 'latin1'))])));

export interface HelloParts {
  readonly extensions: readonly Buffer[] | undefined;
  readonly recordVersion?: number;
  readonly version?: number;
  readonly session?: number;
  readonly ciphers?: Buffer;
  readonly compression?: Buffer;
  /** Behind the extensions, inside the message. */
  readonly trailing?: Buffer;
}

export function hello({ extensions, recordVersion = 0x0301, version = 0x0303, session = 32, ciphers = Buffer.from('1301', 'hex'), compression = Buffer.alloc(1), trailing = Buffer.alloc(0) }: HelloParts): Buffer {
  const body = Buffer.concat([
    number(2, version), Buffer.alloc(32, 7), vector(1, Buffer.alloc(session)), vector(2, ciphers), vector(1, compression),
    ...extensions === undefined ? [] : [vector(2, Buffer.concat(extensions))], trailing,
  ]);
  const whole = message(body);
  // A record's length has two bytes; what is larger is for `inRecords` to split.
  return whole.length > 65_535 ? whole : record(whole, 22, recordVersion);
}

/** The handshake bytes of one record, spread over records of these sizes, the last size as often as needed. */
export function inRecords(one: Buffer, sizes: readonly number[]): Buffer {
  const content = one.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0, index = 0; at < content.length; index++) {
    const size = sizes[Math.min(index, sizes.length - 1)]!;
    records.push(record(content.subarray(at, at + size)));
    at += size;
  }
  return Buffer.concat(records);
}
