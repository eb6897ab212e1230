import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, X509Certificate, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { authorityError } from './failures.ts';
import { authorityBackdateMs, authorityLifeMs, inOrder, mayStillSign, mostAuthorities, trustedAt } from './rules.ts';
import { authorityCertificate, authorityId, toPem } from '../x509/certificate.ts';

/** What the folder of authorities holds, as text and as what it says. */

const stateSchema = z.strictObject({
  version: z.literal(1),
  authorities: z.array(z.strictObject({
    id: z.string().regex(/^[0-9a-f]{16}$/),
    signs_from: z.int().min(0),
    certificate: z.string().max(4096),
    /** PKCS #8. Null for one that only is trusted. */
    private_key: z.string().max(1024).nullable(),
  })).min(1).max(mostAuthorities),
});

export interface AuthorityRecord {
  readonly id: string;
  readonly signs_from: number;
  /** PEM. */
  readonly certificate: string;
  readonly public_key: KeyObject;
  readonly private_key: KeyObject | undefined;
  readonly not_before: number;
  readonly not_after: number;
  /** SHA-256 of the certificate, as `AB:CD:...`. */
  readonly fingerprint: string;
}

/** A new one, which signs from `signsFrom`. */
export function makeAuthority(signsFrom: number, now: number): AuthorityRecord {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const validity = { not_before: now - authorityBackdateMs, not_after: now + authorityLifeMs };
  const certificate = toPem(authorityCertificate({ key: privateKey, public_key: publicKey }, validity, randomBytes(16)));
  return record(authorityId(publicKey), signsFrom, certificate, privateKey);
}

function record(id: string, signs_from: number, pem: string, private_key: KeyObject | undefined): AuthorityRecord {
  const certificate = new X509Certificate(pem);
  return {
    id, signs_from, certificate: pem, private_key, public_key: certificate.publicKey, fingerprint: certificate.fingerprint256,
    not_before: certificate.validFromDate.getTime(), not_after: certificate.validToDate.getTime(),
  };
}

/** What is still needed: neither who is trusted no more, nor the keys of those who sign no more. */
export function tidied(all: readonly AuthorityRecord[], now: number): readonly AuthorityRecord[] {
  return trustedAt(all, now).map((one) => one.private_key === undefined || mayStillSign(all, one.id, now) ? one : { ...one, private_key: undefined });
}

export function stateText(all: readonly AuthorityRecord[]): string {
  const authorities = inOrder(all).map(({ id, signs_from, certificate, private_key }) => ({
    id, signs_from, certificate, private_key: private_key === undefined ? null : String(private_key.export({ type: 'pkcs8', format: 'pem' })),
  }));
  return `${JSON.stringify({ version: 1, authorities }, undefined, 2)}\n`;
}

/** Throws `authority` when a part is not what it should be; `place` is for the sentence. Says nothing of what a key holds. */
export function parseState(text: string, place: string): readonly AuthorityRecord[] {
  const parsed = stateSchema.safeParse(jsonOf(text, place));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw authorityError(`${place} is not what Sallyport wrote: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}.`);
  }
  const all = parsed.data.authorities.map((one) => authorityOf(one, place));
  if (new Set(all.map(({ id }) => id)).size !== all.length) throw authorityError(`${place} names one authority twice.`);
  return inOrder(all);
}

function jsonOf(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own sentence quotes the text, and keys are in it.
    throw authorityError(`${place} is not whole: it is not JSON.`);
  }
}

function authorityOf({ id, signs_from, certificate, private_key }: z.infer<typeof stateSchema>['authorities'][number], place: string): AuthorityRecord {
  let one: AuthorityRecord;
  let key: KeyObject | undefined;
  try {
    key = private_key === null ? undefined : createPrivateKey(private_key);
    one = record(id, signs_from, certificate, key);
  } catch {
    throw authorityError(`${place} holds a certificate or key of authority ${id} that cannot be read.`);
  }
  const parsed = new X509Certificate(certificate);
  // Exactly one, as we write it: what stands around it would go into clients' bundles unseen.
  if (toPem(parsed.raw) !== certificate) throw authorityError(`${place} holds more than the certificate of authority ${id} in its place.`);
  if (!parsed.ca || !parsed.verify(parsed.publicKey)) throw authorityError(`${place} holds a certificate of ${id} that is not an authority's own.`);
  if (authorityId(parsed.publicKey) !== id) throw authorityError(`${place} holds a certificate that is not authority ${id}'s.`);
  if (key !== undefined && !createPublicKey(key).equals(parsed.publicKey)) throw authorityError(`${place} holds a key of authority ${id} that does not match its certificate.`);
  return one;
}
