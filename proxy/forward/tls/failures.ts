import type { X509Certificate } from 'node:crypto';
import { SallyportError } from '../../../contracts/errors.ts';
import { issuerOf, namesOf } from './certificate-names.ts';

/** Given to the error of a certificate that is for other hosts: what Node takes from its callers has no code of its own. */
export const wrongHost = 'SALLYPORT_WRONG_HOST';

interface Explained {
  /** Behind `host:port`. */
  readonly detail: string;
  readonly next: string | readonly string[];
}

const mend = 'The origin has to mend its certificate; nothing lets a broken one through.';
const trust = 'If its authority is one of yours, the operator can have it trusted: sallyport up --upstream-ca FILE.';
const chain = 'The origin has to send its intermediate certificates; if its authority is one of yours, the operator can have it trusted: sallyport up --upstream-ca FILE.';
const service = 'Check that the service speaks TLS on this port; for plain HTTP ask http://.';
const modern = 'The origin has to speak TLS 1.2 or 1.3; nothing lets less through.';

/** By OpenSSL's name for what is wrong with a certificate. */
function ofCertificate(code: string, host: string, leaf: X509Certificate | undefined, now: number): Explained | undefined {
  const day = (text: string | undefined): string => (text === undefined ? '' : ` (${new Date(text).toISOString().slice(0, 10)})`);
  switch (code) {
    case wrongHost: {
      const names = leaf === undefined ? undefined : namesOf(leaf);
      return { detail: names === undefined ? `has a certificate that names no host, so it is not for ${host}` : `has a certificate that is not for ${host}, but for ${names}`, next: ['Ask for a host that the certificate is for.', mend] };
    }
    case 'CERT_HAS_EXPIRED': return leaf === undefined || Date.parse(leaf.validTo) < now
      ? { detail: `has a certificate that has expired${day(leaf?.validTo)}`, next: mend }
      : { detail: 'has a certificate whose authority\'s own has expired', next: mend };
    case 'CERT_NOT_YET_VALID': return leaf === undefined || Date.parse(leaf.validFrom) > now
      ? { detail: `has a certificate that is not valid yet${day(leaf?.validFrom)}`, next: [mend, 'The operator should check the clock of the proxy\'s machine.'] }
      : { detail: 'has a certificate whose authority\'s own is not valid yet', next: [mend, 'The operator should check the clock of the proxy\'s machine.'] };
    case 'DEPTH_ZERO_SELF_SIGNED_CERT': return { detail: 'has a certificate that it signed itself', next: 'If it is one of yours, the operator can have it trusted: sallyport up --upstream-ca FILE.' };
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY': return { detail: `has a certificate of an authority that is not trusted here${by(leaf)}`, next: trust };
    // Not even the one that signed the leaf was sent.
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE': return { detail: `has a certificate of an authority that is not trusted here, or did not send all of its chain${by(leaf)}`, next: chain };
    // Node has no name for it: a name that the authority may not sign for, for example (RFC 5280, section 4.2.1.10).
    case 'UNSPECIFIED': return { detail: 'has a certificate that can\'t be relied on: it, or its authority\'s own, forbids this use', next: mend };
    default: return /^(?:CERT_|INVALID_|UNABLE_TO_|ERROR_IN_|PATH_|HOSTNAME_)/.test(code) && !code.startsWith('INVALID_SESSION')
      ? { detail: `has a certificate that can't be relied on (${code})`, next: mend }
      : undefined;
  }
}

function by(leaf: X509Certificate | undefined): string {
  return leaf === undefined ? '' : ` (${issuerOf(leaf)})`;
}

/** By OpenSSL's reason, as Node writes it into a code: what the other side did. */
const reasons: readonly (readonly [RegExp, Explained])[] = [
  [/ALERT_NO_APPLICATION_PROTOCOL$/, { detail: 'speaks no protocol that was offered (HTTP/1.1 for a request of HTTP/1)', next: 'Ask by HTTP/2.' }],
  [/CERTIFICATE_REQUIRED$|ALERT_BAD_CERTIFICATE$/, { detail: 'wants a certificate of its client, and this proxy has none', next: 'The operator can allow the host as an opaque tunnel (--allow HOST:PORT:TUNNEL); the client then brings its own.' }],
  [/UNRECOGNIZED_NAME$/, { detail: 'does not know this host name', next: 'Check the host name.' }],
  [/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|WRONG_SSL_VERSION|VERSION_TOO_LOW/, { detail: 'speaks no TLS of version 1.2 or later', next: modern }],
  [/ALERT_HANDSHAKE_FAILURE$|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY|WRONG_CIPHER|UNKNOWN_CIPHER/, { detail: 'refused the handshake: it has no cipher in common with us, or wants a certificate of its client', next: 'The origin has to speak TLS 1.2 or 1.3 with forward secrecy; where it wants a client\'s certificate, the operator can allow it as an opaque tunnel (--allow HOST:PORT:TUNNEL).' }],
  [/UNSAFE_LEGACY_RENEGOTIATION|DH_KEY_TOO_SMALL|BAD_ECPOINT|EE_KEY_TOO_SMALL|CA_MD_TOO_WEAK|CA_KEY_TOO_SMALL/, { detail: 'speaks TLS in a way that is broken for long', next: modern }],
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|RECORD_TOO_SMALL|UNEXPECTED_MESSAGE$|BAD_PACKET_LENGTH/, { detail: 'did not answer in TLS', next: service }],
];

/** What a failed verification is called, or `undefined` where `error` is none. `now`: wall time in milliseconds. */
export function certificateFailure(error: NodeJS.ErrnoException | undefined, where: string, { host, leaf, now }: { readonly host: string; readonly leaf: X509Certificate | undefined; readonly now: number }): SallyportError | undefined {
  return inWords(error, where, ofCertificate(error?.code ?? '', host, leaf, now));
}

/** What a failure of TLS itself is called, or `undefined` where `error` is none; an alert may come when TLS is long agreed on. `where` is host and port. */
export function tlsFailure(error: NodeJS.ErrnoException | undefined, where: string): SallyportError | undefined {
  const code = error?.code ?? '';
  if (!code.startsWith('ERR_SSL_')) return undefined;
  return inWords(error, where, reasons.find(([pattern]) => pattern.test(code))?.[1] ?? { detail: `broke TLS (${code.slice('ERR_SSL_'.length, 80)})`, next: service });
}

function inWords(cause: Error | undefined, where: string, explained: Explained | undefined): SallyportError | undefined {
  return explained && new SallyportError('upstream_tls', `${where} ${explained.detail}.`, { cause, next_steps: [explained.next].flat() });
}

/** A connection that ended before TLS was agreed on: which of the two sides found what, it did not say. */
export function closedInHandshake(where: string, cause: Error | undefined): SallyportError {
  return new SallyportError('upstream_tls', `${where} closed the connection before TLS was agreed on.`, { cause, next_steps: [service] });
}
