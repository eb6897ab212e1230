import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/**
 * Whether a certificate is for a host: by its alternative names alone (RFC 9525), an address by those for addresses. A wildcard stands for
 * one whole label on the left.
 */
export function isFor(certificate: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return certificate.checkIP(host) !== undefined;
  return certificate.checkHost(host, { subject: 'never', wildcards: true, partialWildcards: false, multiLabelWildcards: false, singleLabelSubdomains: false }) !== undefined;
}

const mostNames = 5;

/** The hosts that a certificate is for, for a person; `undefined` where it names none. What another side wrote is cut and cleaned. */
export function namesOf({ subjectAltName }: X509Certificate): string | undefined {
  const names = [...(subjectAltName ?? '').slice(0, 65_536).matchAll(/(?:^|, )(?:DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(([, name]) => cleaned(name!));
  if (names.length === 0) return undefined;
  const more = names.length - mostNames;
  return `${names.slice(0, mostNames).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Who signed a certificate, for a person. */
export function issuerOf({ issuer }: X509Certificate): string {
  const part = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(issuer)?.[1];
  return cleaned(part('CN') ?? part('O') ?? issuer);
}

function cleaned(text: string): string {
  return text.slice(0, 100).replace(/[^\x20-\x7e]|["\\]/g, '?');
}
