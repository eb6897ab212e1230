import type { Duplex } from 'node:stream';
import type { Form, Source } from '../exchange.ts';
import { nowhere } from '../roster.ts';
import type { Sweep } from '../wire/sweep.ts';
import { ClientConnection, type Handler } from './connection.ts';
import type { AcceptLimits } from './limits.ts';
import type { OnRefused } from './refused.ts';

export interface InsideOptions {
  readonly source: Source;
  readonly form: Extract<Form, { kind: 'inside' }>;
  readonly limits: AcceptLimits;
  readonly sweep: Sweep;
  readonly onRefused?: OnRefused;
  /** Told of the connection inside, which a worker that stops has to tell: its outer one is nothing but bytes by then. */
  readonly onConnection?: (connection: ClientConnection, stream: Duplex) => void;
  /** The tunnel holds a TLS ClientHello. The stream is the callee's to close; the bytes stay in it. */
  readonly onTls: (stream: Duplex) => void;
  /** It holds something else: HTTP/2 in clear text, another protocol, or nothing in time. */
  readonly onOther: (stream: Duplex, what: 'http2' | 'unknown' | 'silent' | 'closed') => void;
}

/** Enough to tell an HTTP/2 preface, a TLS record and a request line apart. */
const enough = Buffer.byteLength('PRI * HTTP/2.0\r\n');

type First = 'http' | 'tls' | 'http2' | 'unknown' | 'more';

/** What the first bytes of a tunnel are. llhttp's methods are all upper case letters, `-` or `_` (M-SEARCH). */
export function recogniseFirstBytes(bytes: Buffer): First {
  // Record type handshake, version 3.x (RFC 8446, section 5.1).
  if (bytes[0] === 0x16) return bytes.length < 2 ? 'more' : bytes[1] === 0x03 ? 'tls' : 'unknown';
  const text = bytes.toString('latin1', 0, enough);
  if (text.startsWith('PRI * HTTP/2.0\r\n')) return 'http2';
  if (!/^[A-Z]/.test(text)) return 'unknown';
  if (/^[A-Z-]+ \S/.test(text) && !'PRI * HTTP/2.0\r\n'.startsWith(text)) return 'http';
  return bytes.length < enough && /^[A-Z-]+( [^]*)?$/.test(text) ? 'more' : 'unknown';
}

/**
 * Looks at the first bytes inside a CONNECT: requests of plain HTTP become exchanges of the form `inside`, each judged by itself;
 * anything else is called back, for the caller to refuse.
 */
export function acceptInside(stream: Duplex, options: InsideOptions, handler: Handler): void {
  const { source, form, limits, sweep, onRefused } = options;
  let first: Buffer = Buffer.alloc(0);
  const watched = {
    due: sweep.now + limits.first_bytes_ms,
    place: nowhere,
    expired: (): void => {
      leave();
      options.onOther(stream, 'silent');
    },
  };
  const leave = (): void => {
    sweep.remove(watched);
    stream.off('data', onData).off('end', onClosed).off('close', onClosed);
    stream.pause();
  };
  const onClosed = (): void => {
    leave();
    options.onOther(stream, 'closed');
  };
  const onData = (bytes: Buffer): void => {
    first = first.length === 0 ? bytes : Buffer.concat([first, bytes]);
    const what = recogniseFirstBytes(first);
    if (what === 'more') return;
    leave();
    if (what === 'http') {
      const connection = new ClientConnection(stream, { source, inside: form, limits, sweep, ...(onRefused !== undefined && { onRefused }) }, handler);
      options.onConnection?.(connection, stream);
      stream.resume();
      connection.feed(first);
      return;
    }
    stream.unshift(first);
    if (what === 'tls') options.onTls(stream);
    else options.onOther(stream, what);
  };
  sweep.add(watched);
  stream.on('data', onData).on('end', onClosed).on('close', onClosed);
  stream.on('error', () => { /* 'close' follows. */ });
  if (stream.destroyed) onClosed();
  else stream.resume();
}
