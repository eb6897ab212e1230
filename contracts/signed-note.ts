import { createPublicKey, sign as signBytes, verify as verifyBytes, type KeyObject } from 'node:crypto';
import { sha256 } from './digest.ts';

/**
 * C2SP signed notes (c2sp.org/signed-note) with Ed25519: text that ends with a newline, an empty line, and lines
 * `— <key name> <base64 of key id and signature>`. Keys are arguments; this file holds none.
 */
export interface NoteKey {
  /** Not empty, no white space, no plus sign. */
  readonly name: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly public_key: Uint8Array;
}

export interface NoteSigner extends NoteKey {
  readonly private_key: KeyObject;
}

export interface NoteSignature {
  readonly name: string;
  readonly key_id: string;
  readonly signature: Uint8Array;
}

export interface Note {
  /** What is signed, its last newline included. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Signature type of Ed25519 in key ids and verifier keys. */
const ed25519 = 1;
const keyName = /^[^\s+]+$/u;
const signatureLine = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u;
const signaturesMax = 16;
const noteMaxLength = 16_384;

function fromBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  // One spelling only: padded, and no bits left over.
  return bytes.toString('base64') === text ? Uint8Array.from(bytes) : undefined;
}

export function isKeyName(name: string): boolean {
  return name.length <= 200 && keyName.test(name);
}

/** First four bytes of SHA-256(name || newline || type || key), as 8 hexadecimal digits. */
export function keyId(key: NoteKey): string {
  return Buffer.from(sha256(Buffer.concat([Buffer.from(`${key.name}\n`), Uint8Array.of(ed25519), key.public_key])).subarray(0, 4)).toString('hex');
}

/** The raw public key of an Ed25519 key of node:crypto (the private or the public half). */
export function rawPublicKey(key: KeyObject): Uint8Array {
  const { crv, x } = key.export({ format: 'jwk' });
  if (crv !== 'Ed25519' || x === undefined) throw new TypeError('not an Ed25519 key');
  return Uint8Array.from(Buffer.from(x, 'base64url'));
}

/** `<name>+<key id>+<base64 of type and key>`, as other verifiers of signed notes take it. */
export function formatVerifierKey(key: NoteKey): string {
  return `${key.name}+${keyId(key)}+${Buffer.concat([Uint8Array.of(ed25519), key.public_key]).toString('base64')}`;
}

/** Undefined when the text is not an Ed25519 verifier key or its key id is not its own. */
export function parseVerifierKey(text: string): NoteKey | undefined {
  const [name = '', id, ...rest] = text.split('+');
  const bytes = fromBase64(rest.join('+'));
  if (!isKeyName(name) || bytes === undefined || bytes.length !== 33 || bytes[0] !== ed25519) return undefined;
  const key = { name, public_key: bytes.subarray(1) };
  return keyId(key) === id ? key : undefined;
}

/** Throws a TypeError when the text is empty or does not end with a newline, or the name is none. */
export function signNote(text: string, signer: NoteSigner): string {
  if (!text.endsWith('\n') || !isKeyName(signer.name)) throw new TypeError('a note is text with a newline at its end, signed by a named key');
  const signature = signBytes(null, Buffer.from(text), signer.private_key);
  const line = Buffer.concat([Buffer.from(keyId(signer), 'hex'), signature]).toString('base64');
  return `${text}\n— ${signer.name} ${line}\n`;
}

/** Undefined when it is not a note of at most 16,384 characters and 16 signatures. */
export function parseNote(note: string): Note | undefined {
  // oxlint-disable-next-line no-control-regex
  if (note.length > noteMaxLength || !note.endsWith('\n') || !note.isWellFormed() || /[\0-\t\v-\u001f]/.test(note)) return undefined;
  const split = note.lastIndexOf('\n\n');
  if (split < 1) return undefined;
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > signaturesMax) return undefined;
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const [, name, base64] = signatureLine.exec(line) ?? [];
    const bytes = base64 === undefined ? undefined : fromBase64(base64);
    if (name === undefined || bytes === undefined || bytes.length <= 4) return undefined;
    signatures.push({ name, key_id: Buffer.from(bytes.subarray(0, 4)).toString('hex'), signature: bytes.subarray(4) });
  }
  return { text: note.slice(0, split + 1), signatures };
}

/** Whether the key has signed the note. Signatures of other keys (witnesses) are passed over, a false one of this key is not. */
export function verifyNote(note: Note, key: NoteKey): boolean {
  const id = keyId(key);
  const own = note.signatures.filter((signature) => signature.name === key.name && signature.key_id === id);
  if (own.length === 0) return false;
  const x = Buffer.from(key.public_key).toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return own.every(({ signature }) => verifyBytes(null, Buffer.from(note.text), publicKey, signature));
}
