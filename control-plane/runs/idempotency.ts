import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { SallyportError } from '../../contracts/errors.ts';
import type { Principal, Random } from '../access/rules.ts';

/**
 * A repeated `POST /chat/run` gets its first answer again, the agent's token included, though only hashes of tokens are stored: the
 * answer is sealed (AES-256-GCM) under a key derived from the Idempotency-Key, of which in turn only a hash is stored.
 */
export interface IdempotencyKey {
  /** Hex, what the database knows of it; different for every principal. */
  readonly key_sha256: string;
  readonly request_sha256: string;
  readonly sealing: Buffer;
}

const shape = /^[\x21-\x7e]{1,200}$/;

/** `undefined` where no key was sent. */
export function idempotencyKey(header: string | undefined, principal: Principal, request: unknown): IdempotencyKey | undefined {
  if (header === undefined) return undefined;
  if (!shape.test(header)) throw mistake('must be 1 to 200 visible ASCII characters');
  const scoped = `${principal.kind} ${principal.id} ${header}`;
  return {
    key_sha256: createHash('sha256').update(scoped).digest('hex'),
    request_sha256: createHash('sha256').update(JSON.stringify(request)).digest('hex'),
    sealing: Buffer.from(hkdfSync('sha256', scoped, '', 'sallyport idempotent answer', 32)),
  };
}

export function mistake(message: string): SallyportError {
  return new SallyportError('invalid_request', `Idempotency-Key: ${message}`, { errors: [{ path: 'Idempotency-Key', message }] });
}

const nonceBytes = 12;
const tagBytes = 16;

export function sealAnswer(key: IdempotencyKey, answer: unknown, random: Random): string {
  const nonce = random(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key.sealing, nonce);
  const sealed = Buffer.concat([cipher.update(JSON.stringify(answer)), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
}

export function openAnswer(key: IdempotencyKey, text: string): unknown {
  const bytes = Buffer.from(text, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key.sealing, bytes.subarray(0, nonceBytes));
  decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
  return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]).toString('utf8'));
}
