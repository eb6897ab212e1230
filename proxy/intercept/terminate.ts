import type { Duplex } from 'node:stream';
import { TLSSocket, type SecureContext } from 'node:tls';
import { nowhere } from '../roster.ts';
import type { Protocol } from '../wire/alpn.ts';
import type { Sweep } from '../wire/sweep.ts';

export interface TerminateOptions {
  /** Holds the leaf and its key. */
  readonly context: SecureContext;
  /** What may be spoken inside, the best first; a client that offers none of them is refused by TLS (RFC 7301, section 3.2). */
  readonly protocols: readonly Protocol[];
  readonly sweep: Sweep;
  readonly handshake_ms: number;
}

/** TLS that ends here. */
export interface Terminated {
  readonly stream: TLSSocket;
  readonly protocol: Protocol;
  /** As OpenSSL calls it: `TLSv1.3`. */
  readonly version: string;
}

/** TLS has no reset of its own; whoever needs one has to reach below. */
const below = new WeakMap<Duplex, Duplex>();

/** The connection that TLS which ends here goes over; of any other stream the stream itself. */
export function belowTls(stream: Duplex): Duplex {
  return below.get(stream) ?? stream;
}

/** What clients say who do not believe in our CA (RFC 8446, section 6.2), as OpenSSL names it. */
const distrust = /ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED)/;

/**
 * Is the server of a client's TLS. The stream still holds the ClientHello; it is closed where the two do not agree, and `failed` told a
 * clause for a person. The context must forbid renegotiation (CVE-2009-3555, and floods of it).
 */
export function terminate(stream: Duplex, { context, protocols, sweep, handshake_ms }: TerminateOptions, done: (terminated: Terminated) => void, failed: (problem: string) => void): void {
  const secure = new TLSSocket(stream, { isServer: true, secureContext: context, ALPNProtocols: [...protocols] });
  below.set(secure, stream);
  let problem: NodeJS.ErrnoException | undefined;
  let late = false;
  const watched = {
    due: sweep.now + handshake_ms,
    place: nowhere,
    expired: (): void => {
      late = true;
      secure.destroy();
    },
  };
  const onClose = (): void => {
    sweep.remove(watched);
    stream.destroy();
    failed(late ? 'its handshake did not end in time' : clauseOf(problem));
  };
  // Its listener lets a client close its side alone; nothing comes of a handshake after that.
  const onEnd = (): void => { secure.destroy(); };
  sweep.add(watched);
  // Both stay: whoever takes the stream learns what went wrong by the close that follows. Without a tls.Server, which would choose a
  // certificate by the name in TLS rather than by the CONNECT, nobody else hears what TLS itself reports.
  secure.on('error', (error: NodeJS.ErrnoException) => { problem ??= error; });
  secure.on('_tlsError' as 'error', (error) => { secure.destroy(error); });
  secure.once('close', onClose).once('end', onEnd);
  secure.once('secure', () => {
    sweep.remove(watched);
    secure.off('close', onClose).off('end', onEnd);
    done({ stream: secure, protocol: secure.alpnProtocol === 'h2' ? 'h2' : 'http/1.1', version: secure.getProtocol() ?? 'unknown' });
  });
}

function clauseOf(problem: NodeJS.ErrnoException | undefined): string {
  const code = problem?.code ?? '';
  if (distrust.test(code)) return 'the client does not trust the certificate that it was shown';
  if (code === 'ERR_SSL_UNSUPPORTED_PROTOCOL') return 'the client wants a version of TLS that is older than 1.2';
  if (code.includes('NO_APPLICATION_PROTOCOL')) return 'the client offers neither HTTP/1.1 nor HTTP/2 (ALPN)';
  if (code.startsWith('ERR_SSL_')) return `the handshake failed (${code.slice('ERR_SSL_'.length).toLowerCase().replaceAll('_', ' ')})`;
  return 'the client went away during the handshake';
}
