import { createHash, sign, type KeyObject } from 'node:crypto';
import { parseIPv4, parseIPv6 } from '../../../contracts/address-text.ts';
import { bitString, implicit, integer, octetString, oid, sequence, set, tagged, time, utf8String, yes } from './der.ts';

/** X.509 v3 certificates as RFC 5280 wants them: the authority's own, and leaves of one host each. */

export interface Validity {
  /** Milliseconds since 1970; seconds are kept. */
  readonly not_before: number;
  readonly not_after: number;
}

/** Who signs: names and key identifier come from what the authority's own certificate was made of. */
export interface Issuer {
  readonly key: KeyObject;
  readonly public_key: KeyObject;
}

const version3 = tagged(0, integer(Buffer.from([2])));
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
/** RFC 5280, section 4.1.2.6: the names are in the subject alternative name alone, which is critical then. */
const noName = sequence();

/** Bits from the left: digitalSignature is the first, keyCertSign and cRLSign the sixth and seventh. */
const signsHandshakes = extension('2.5.29.15', bitString(Buffer.from([0x80]), 7), 'critical');
const signsCertificates = extension('2.5.29.15', bitString(Buffer.from([0x06]), 1), 'critical');
const authorityOfLeaves = extension('2.5.29.19', sequence(yes, integer(Buffer.from([0]))), 'critical');
const serverAuthentication = extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1')));

function extension(id: string, content: Uint8Array, critical?: 'critical'): Buffer {
  return critical === undefined ? sequence(oid(id), octetString(content)) : sequence(oid(id), yes, octetString(content));
}

const publicBytes = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });

/** RFC 7093, section 2, method 4 with 160 bits: nothing needs SHA-1. */
const keyIdentifier = (publicKey: KeyObject): Buffer => createHash('sha256').update(publicBytes(publicKey)).digest().subarray(0, 20);

/** Tells authorities apart in names and files. */
export const authorityId = (publicKey: KeyObject): string => keyIdentifier(publicKey).subarray(0, 8).toString('hex');

/** Two authorities never have one name: some clients look for an issuer by its name alone, and take the first. */
function authorityName(publicKey: KeyObject): Buffer {
  const part = (id: string, text: string): Buffer => set(sequence(oid(id), utf8String(text)));
  return sequence(part('2.5.4.10', 'Sallyport'), part('2.5.4.3', `Sallyport CA ${authorityId(publicKey)}`));
}

/** 127 random bits: positive, never 0, more than the 64 that CA/Browser Forum asks for, 16 bytes of the 20 that RFC 5280 allows. */
function serial(random: Uint8Array): Buffer {
  const bytes = Buffer.from(random);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return integer(bytes);
}

function signed(key: KeyObject, toBeSigned: Buffer): Buffer {
  return sequence(toBeSigned, ecdsaWithSha256, bitString(sign('sha256', toBeSigned, key)));
}

/** The certificate of an authority, by itself. `random`: 16 bytes. */
export function authorityCertificate({ key, public_key }: Issuer, { not_before, not_after }: Validity, random: Uint8Array): Buffer {
  const name = authorityName(public_key);
  const identifier = keyIdentifier(public_key);
  return signed(key, sequence(
    version3, serial(random), ecdsaWithSha256, name, sequence(time(not_before), time(not_after)), name, publicBytes(public_key),
    tagged(3, sequence(
      authorityOfLeaves, signsCertificates,
      extension('2.5.29.14', octetString(identifier)),
      extension('2.5.29.35', sequence(implicit(0, identifier))),
    )),
  ));
}

/** Makes leaves of one authority for one key. */
export function leafMaker(issuer: Issuer, leafKey: KeyObject): (host: string, validity: Validity, random: Uint8Array) => Buffer {
  // What is the same in all of them is encoded once.
  const name = authorityName(issuer.public_key);
  const key = publicBytes(leafKey);
  const issuedBy = extension('2.5.29.35', sequence(implicit(0, keyIdentifier(issuer.public_key))));
  return (host, { not_before, not_after }, random) => signed(issuer.key, sequence(
    version3, serial(random), ecdsaWithSha256, name, sequence(time(not_before), time(not_after)), noName, key,
    tagged(3, sequence(signsHandshakes, serverAuthentication, extension('2.5.29.17', sequence(generalName(host)), 'critical'), issuedBy)),
  ));
}

/** dNSName or iPAddress (RFC 5280, section 4.2.1.6) of a canonical host. */
function generalName(host: string): Buffer {
  const address = parseIPv4(host) ?? (host.includes(':') ? parseIPv6(host) : undefined);
  return address === undefined ? implicit(2, Buffer.from(host, 'latin1')) : implicit(7, Buffer.from(address));
}

export function toPem(certificate: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}
