import { constants } from 'node:crypto';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { SallyportError } from '../../../contracts/errors.ts';

/** With forward secrecy all; those of CBC last, for servers that have learned nothing since TLS 1.2. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-SHA', 'ECDHE-RSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA', 'ECDHE-RSA-AES256-SHA',
].join(':');

/**
 * The certificates that this machine trusts, in PEM, each once. OpenSSL's own places: the file that `SSL_CERT_FILE` and the folder that
 * `SSL_CERT_DIR` name, else those that it was built with (Debian: `/etc/ssl/certs`, where each certificate lies in several files). None of
 * those that Node brings along: an operator who takes an authority out of the system's must not find it trusted all the same.
 */
export function systemRoots(): readonly string[] {
  return [...new Set(getCACertificates('system'))];
}

/**
 * What all TLS with origins has in common, made when first asked for: to read 150 certificates takes 40 ms. The authorities are the
 * system's and those of `configured`, in PEM. Throws `upstream_tls` where there are none at all.
 */
export function originContext(configured: string | undefined, system: () => readonly string[] = systemRoots): () => SecureContext {
  let context: SecureContext | undefined;
  return () => context ??= make([...system(), ...(configured === undefined ? [] : [configured])]);
}

function make(ca: readonly string[]): SecureContext {
  // Node would fall back to the authorities that it brings along.
  if (ca.length === 0) {
    throw new SallyportError('upstream_tls', 'This proxy knows no certificate authority: its system has none, and none is configured.', {
      next_steps: ['The operator has to install the system\'s authorities (the package ca-certificates), or to name some with --upstream-ca FILE.'],
    });
  }
  return createSecureContext({
    ca: [...ca], ciphers, minVersion: 'TLSv1.2', honorCipherOrder: false,
    // Whoever asks for a renegotiation is answered `no_renegotiation`, and we never ask.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}
