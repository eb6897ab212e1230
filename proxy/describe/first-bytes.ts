import type { DenialCode } from '../denial.ts';
import { beginsTlsRecord, readClientHello } from './client-hello.ts';

/** What the first bytes of an opaque tunnel allow. */
export type FirstBytes =
  /** Look again when there are so many. */
  | { readonly kind: 'more'; readonly needed: number }
  /** `hello`: what TLS asked for; undefined where other bytes may pass. */
  | { readonly kind: 'pass'; readonly hello?: { readonly sni: string | undefined; readonly alpn: readonly string[] } }
  /** `alert` is what TLS calls it (RFC 8446, section 6.2); undefined where TLS is not spoken. */
  | { readonly kind: 'refused'; readonly code: DenialCode; readonly detail: string; readonly alert: number | undefined };

const unrecognisedName = 112;
const decodeError = 50;

const notTls = (detail: string): FirstBytes => ({ kind: 'refused', code: 'not_supported', detail, alert: undefined });

/**
 * Judges what a client says first in a tunnel whose inside stays unseen: `host` is the canonical host of the CONNECT, `raw` that the
 * operator allowed any protocol there. TLS must name that host or nobody; what begins like TLS is judged as TLS, also under `raw`.
 */
export function judgeFirstBytes(bytes: Buffer, host: string, raw: boolean): FirstBytes {
  if (bytes.length === 0) return { kind: 'more', needed: 1 };
  // A second byte tells TLS from what begins with the same first byte by chance.
  if (beginsTlsRecord(bytes[0]!) && bytes.length === 1) return { kind: 'more', needed: 2 };
  if (!beginsTlsRecord(bytes[0]!) || bytes[1] !== 3) {
    return raw ? { kind: 'pass' } : notTls('The first bytes are not those of TLS, and only TLS may pass through this tunnel.');
  }
  const hello = readClientHello(bytes);
  switch (hello.kind) {
    case 'more': return hello;
    case 'bad': return { kind: 'refused', code: 'bad_request', detail: `The ClientHello can't be read one way only: ${hello.problem}.`, alert: decodeError };
    case 'hello':
      if (hello.sni === undefined || hello.sni === host) return { kind: 'pass', hello };
      // Only who allowed bytes unseen allowed a name unseen: the outer one is the provider's, the real one is encrypted.
      if (hello.ech && raw) return { kind: 'pass' };
      return { kind: 'refused', code: 'core.host_mismatch', detail: `TLS asks for ${hello.sni}, the CONNECT was for ${host}.`, alert: unrecognisedName };
  }
}

/** What to say when the first bytes did not come in time, or the client closed before. */
export function missingFirstBytes(some: boolean): Extract<FirstBytes, { kind: 'refused' }> {
  return some
    ? { kind: 'refused', code: 'bad_request', detail: 'The ClientHello did not arrive whole in time.', alert: decodeError }
    : { kind: 'refused', code: 'not_supported', detail: 'Nothing came in time; servers that speak first need a tunnel in which any bytes may pass.', alert: undefined };
}
