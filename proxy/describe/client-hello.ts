import { canonicalHost } from '../../contracts/host.ts';

/**
 * The first message of a TLS client (RFC 8446, section 4.1.2, and RFC 5246, section 7.4.1.2), read more strictly than any server
 * needs to: what two stacks could read in two ways is bad. Pure; look again with all bytes so far once there are `needed`.
 */
export type ClientHello =
  | { readonly kind: 'more'; readonly needed: number }
  /** `problem` is a clause for a person: "a record is empty". */
  | { readonly kind: 'bad'; readonly problem: string }
  /** `sni` is canonical (contracts/host.ts). `ech`: a second, encrypted hello may name another host; clients also send that as GREASE. */
  | { readonly kind: 'hello'; readonly sni: string | undefined; readonly ech: boolean; readonly alpn: readonly string[] };

/** Of the handshake message. Post-quantum key shares make about 2 KiB. */
export const maximumClientHelloBytes = 16_384;
/** Over which it may be spread; some clients use two or three. With the bound above, also a bound on looks. */
const maximumRecords = 64;

const recordHeader = 5;
const messageHeader = 4;
const handshake = 22;
const clientHello = 1;
const serverName = 0;
const protocols = 16;
const encryptedClientHello = 0xfe0d;

const bad = (problem: string): ClientHello => ({ kind: 'bad', problem });

/** True when `byte` begins a TLS record of whatever content: change_cipher_spec (20) to heartbeat (24). Servers skip some before a hello. */
export const beginsTlsRecord = (byte: number): boolean => byte >= 20 && byte <= 24;

export function readClientHello(bytes: Buffer): ClientHello {
  const fragments: Buffer[] = [];
  let collected = 0;
  let message: number | undefined;
  for (let at = 0; message === undefined || collected < message; ) {
    if (fragments.length === maximumRecords) return bad(`the ClientHello is spread over more than ${maximumRecords} records`);
    if (bytes.length > at && bytes[at] !== handshake) return bad('a record is not of the handshake');
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return bad('a record is of no version of TLS');
    if (bytes.length < at + recordHeader) return { kind: 'more', needed: at + recordHeader };
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > 16_384) return bad('a record is empty or larger than a record may be');
    at += recordHeader;
    // The length of the message is told early, so that nobody waits for what is too long.
    const fragment = bytes.subarray(at, at + length);
    fragments.push(fragment);
    collected += fragment.length;
    if (message === undefined && collected >= messageHeader) {
      const start = Buffer.concat(fragments);
      if (start[0] !== clientHello) return bad('the first message of the handshake is not a ClientHello');
      message = messageHeader + start.readUIntBE(1, 3);
      if (message > messageHeader + maximumClientHelloBytes) return bad(`the ClientHello is larger than ${maximumClientHelloBytes} bytes`);
    }
    if (message !== undefined && collected - fragment.length + length > message) return bad('something follows the ClientHello in its record');
    if (fragment.length < length) return { kind: 'more', needed: at + length };
    at += length;
  }
  try {
    return readBody(new Reader(Buffer.concat(fragments).subarray(messageHeader)));
  } catch (error) {
    if (error instanceof Malformed) return bad(error.message);
    throw error;
  }
}

class Malformed extends Error {}

/** Vectors of TLS (RFC 8446, section 3.4); whatever is too short is malformed. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean { return this.#at === this.#bytes.length; }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new Malformed('a length in the ClientHello says more than there is');
    return this.#bytes.subarray(this.#at, this.#at += length);
  }

  number(width: 1 | 2): number {
    return this.take(width).readUIntBE(0, width);
  }

  vector(width: 1 | 2, least: number, unit: number = 1): Buffer {
    const length = this.number(width);
    if (length < least || length % unit !== 0) throw new Malformed('a list in the ClientHello has a length that it cannot have');
    return this.take(length);
  }

  end(): void {
    if (!this.done) throw new Malformed('there are bytes in the ClientHello that belong to nothing');
  }
}

function readBody(body: Reader): ClientHello {
  if (body.take(2)[0] !== 3) throw new Malformed('the ClientHello is of no version of TLS');
  body.take(32);
  if (body.vector(1, 0).length > 32) throw new Malformed('the session id is longer than 32 bytes');
  body.vector(2, 2, 2);
  body.vector(1, 1);
  let sni: string | undefined;
  let ech = false;
  let alpn: readonly string[] = [];
  // Before TLS 1.3 there may be no extensions at all.
  const extensions = new Reader(body.done ? Buffer.alloc(0) : body.vector(2, 0));
  body.end();
  const seen = new Set<number>();
  while (!extensions.done) {
    const type = extensions.number(2);
    // RFC 8446, section 4.2. Which of two names counts would be the server's choice.
    if (seen.has(type)) throw new Malformed(`the extension ${type} is there twice`);
    seen.add(type);
    const content = new Reader(extensions.vector(2, 0));
    if (type === serverName) sni = readServerName(content);
    else if (type === protocols) alpn = readProtocols(content);
    else if (type === encryptedClientHello) ech = true;
  }
  return { kind: 'hello', sni, ech, alpn };
}

/** One name of the type host_name (RFC 6066, section 3). */
function readServerName(extension: Reader): string {
  const list = new Reader(extension.vector(2, 1));
  extension.end();
  if (list.number(1) !== 0) throw new Malformed('the server name is not a host name');
  const name = list.vector(2, 1).toString('latin1');
  if (!list.done) throw new Malformed('there is more than one server name');
  // oxlint-disable-next-line no-control-regex
  if (/[^\x21-\x7e]/.test(name)) throw new Malformed('the server name has characters that no host has');
  const host = canonicalHost(name);
  if (!host.ok) throw new Malformed(`the server name is not a host: ${host.reason}`);
  return host.host;
}

function readProtocols(extension: Reader): readonly string[] {
  const list = new Reader(extension.vector(2, 2));
  extension.end();
  const names: string[] = [];
  while (!list.done) names.push(list.vector(1, 1).toString('latin1'));
  return names;
}
