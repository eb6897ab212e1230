import type { Duplex } from 'node:stream';
import { judgeFirstBytes, type FirstBytes } from '../describe/first-bytes.ts';
import type { Form, Source } from '../exchange.ts';
import { terminate, type TerminateOptions } from '../intercept/terminate.ts';
import { nowhere } from '../roster.ts';
import type { Protocol } from '../wire/alpn.ts';
import type { Sweep } from '../wire/sweep.ts';
import { ClientConnection } from './connection.ts';
import type { Handler } from './connection-options.ts';
import { acceptHttp2 } from './http2/connection.ts';
import type { AcceptLimits } from './limits.ts';
import type { OnRefused } from './refused.ts';

type InsideForm = Extract<Form, { kind: 'inside' }>;

export interface InsideOptions {
  readonly source: Source;
  readonly form: InsideForm;
  /** Canonical host of the CONNECT: what TLS must ask for. */
  readonly host: string;
  readonly limits: AcceptLimits;
  readonly sweep: Sweep;
  readonly onRefused?: OnRefused;
  /** Told of the connection inside, which a worker that stops has to tell: its outer one is nothing but bytes by then. */
  readonly onConnection?: (connection: InsideConnection, stream: Duplex) => void;
  /** How TLS inside is ended here, by what the client offers (ALPN); undefined where it is not looked into. May throw. */
  readonly tls: ((offered: readonly string[]) => Pick<TerminateOptions, 'context' | 'protocols'>) | undefined;
  /** What came instead of requests; the stream is closed. */
  readonly onOther: (other: Other) => void;
}

export interface InsideConnection {
  stop(): void;
}

/** `tls`: it is not looked into here. `refused`: its ClientHello. `handshake`: no agreement with the client. `fault`: thrown by `tls`. */
export type Other =
  | { readonly kind: 'tls' | 'unknown' | 'silent' | 'closed' }
  | { readonly kind: 'refused'; readonly refused: Extract<FirstBytes, { kind: 'refused' }> }
  | { readonly kind: 'handshake'; readonly problem: string }
  | { readonly kind: 'fault'; readonly error: unknown };

const preface = 'PRI * HTTP/2.0\r\n';

type First = 'http' | 'tls' | 'http2' | 'unknown' | 'more';

/** What the first bytes of a tunnel are. llhttp's methods are all upper case letters, `-` or `_` (M-SEARCH). */
export function recogniseFirstBytes(bytes: Buffer): First {
  // Record type handshake, version 3.x (RFC 8446, section 5.1).
  if (bytes[0] === 0x16) return bytes.length < 2 ? 'more' : bytes[1] === 0x03 ? 'tls' : 'unknown';
  const text = bytes.toString('latin1', 0, preface.length);
  if (text.startsWith(preface)) return 'http2';
  if (!/^[A-Z]/.test(text)) return 'unknown';
  if (/^[A-Z-]+ \S/.test(text) && !preface.startsWith(text)) return 'http';
  return bytes.length < preface.length && /^[A-Z-]+( [^]*)?$/.test(text) ? 'more' : 'unknown';
}

/**
 * Looks at the first bytes inside a CONNECT. Requests become exchanges of the form `inside`, each judged by itself, whether they come as
 * HTTP/1.1 or HTTP/2, in clear text or in TLS that is ended here; anything else is told, and closed.
 */
export function acceptInside(stream: Duplex, options: InsideOptions, handler: Handler): void {
  const { limits, sweep, form } = options;
  let first: Buffer = Buffer.alloc(0);
  let needed = 0;
  const watched = { due: sweep.now + limits.first_bytes_ms, place: nowhere, expired: (): void => { end({ kind: 'silent' }); } };
  const leave = (): void => {
    sweep.remove(watched);
    stream.off('data', onData).off('end', onClosed).off('close', onClosed);
    stream.pause();
  };
  const end = (other: Other): void => {
    leave();
    options.onOther(other);
    if (other.kind === 'refused' && other.refused.alert !== undefined) stream.end(Buffer.from([21, 3, 3, 0, 2, 2, other.refused.alert]), () => { stream.destroy(); });
    else stream.destroy();
  };
  const onClosed = (): void => { end({ kind: 'closed' }); };
  const onData = (bytes: Buffer): void => {
    first = first.length === 0 ? bytes : Buffer.concat([first, bytes]);
    if (first.length < needed) return;
    const what = recogniseFirstBytes(first);
    switch (what) {
      case 'more': return;
      case 'http': case 'http2':
        leave();
        return begin(stream, what === 'http' ? 'http/1.1' : 'h2', form, options, handler, first);
      case 'tls': return options.tls === undefined ? end({ kind: 'tls' }) : onTls(options.tls);
      case 'unknown': return end({ kind: 'unknown' });
    }
  };
  const onTls = (tls: NonNullable<InsideOptions['tls']>): void => {
    const judged = judgeFirstBytes(first, options.host, false);
    if (judged.kind === 'more') {
      needed = judged.needed;
      return;
    }
    if (judged.kind === 'refused') return end({ kind: 'refused', refused: judged });
    const { sni, alpn } = judged.hello!;
    let how: ReturnType<typeof tls>;
    try {
      how = tls(alpn);
    } catch (error) {
      return end({ kind: 'fault', error });
    }
    leave();
    stream.unshift(first);
    terminate(stream, { ...how, sweep, handshake_ms: limits.first_bytes_ms }, ({ stream: secure, protocol, version }) => {
      begin(secure, protocol, { ...form, tls: { sni, version } }, options, handler, undefined);
    }, (problem) => { options.onOther({ kind: 'handshake', problem }); });
  };
  sweep.add(watched);
  stream.on('data', onData).on('end', onClosed).on('close', onClosed);
  stream.on('error', () => { /* 'close' follows. */ });
  if (stream.destroyed) onClosed();
  else stream.resume();
}

function begin(stream: Duplex, protocol: Protocol, form: InsideForm, { source, limits, sweep, onRefused, onConnection }: InsideOptions, handler: Handler, first: Buffer | undefined): void {
  const options = { source, inside: form, limits, sweep, ...(onRefused !== undefined && { onRefused }) };
  if (protocol === 'h2') {
    if (first !== undefined) stream.unshift(first);
    onConnection?.(acceptHttp2(stream, options, handler), stream);
    return;
  }
  const connection = new ClientConnection(stream, options, handler);
  onConnection?.(connection, stream);
  stream.resume();
  if (first !== undefined) connection.feed(first);
}
