import test from 'ava';
import * as fc from 'fast-check';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { sha256 } from '../../contracts/digest.ts';
import { parseSeal, readSeals, sealText, signSeal, verifySeal, type SealedHead } from '../../contracts/seal.ts';
import { formatVerifierKey, keyId, parseNote, parseVerifierKey, rawPublicKey, signNote, verifyNote } from '../../contracts/signed-note.ts';

/** The example of golang.org/x/mod/sumdb/note, whose format C2SP took over. */
const neumann = {
  verifier: 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  note: 'If you think cryptography is the answer to your problem,\nthen you don\'t know what your problem is.\n\n'
    + '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
  signer: 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz',
};

/** RFC 8410, section 7: the 16 bytes before the seed in PKCS #8. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

test('the published example of a signed note verifies, and is signed the same', (t) => {
  const key = parseVerifierKey(neumann.verifier)!;
  t.is(key.name, 'PeterNeumann');
  t.is(keyId(key), 'c74f20a3');
  t.is(formatVerifierKey(key), neumann.verifier);
  const note = parseNote(neumann.note)!;
  t.true(verifyNote(note, key));
  const seed = Buffer.from(neumann.signer.split('+').slice(4).join('+'), 'base64').subarray(1);
  const private_key = createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' });
  t.deepEqual(rawPublicKey(private_key), key.public_key);
  t.is(signNote(note.text, { ...key, private_key }), neumann.note);
});

const pair = generateKeyPairSync('ed25519');
const origin = 'sallyport.example/main';
const signer = { name: origin, public_key: rawPublicKey(pair.publicKey), private_key: pair.privateKey };
const head: SealedHead = { origin, size: 42, root: sha256('root'), incarnation: 'inc-1', at: 1_732_464_000_000 };

test('a seal is a C2SP checkpoint with two extension lines', (t) => {
  const root = Buffer.from(head.root).toString('base64');
  t.is(sealText(head), `sallyport.example/main\n42\n${root}\nincarnation inc-1\nat 1732464000000\n`);
  const seal = signSeal(head, signer);
  t.regex(seal.note, /\n\n— sallyport\.example\/main [A-Za-z0-9+/]+={0,2}\n$/);
  t.deepEqual({ ...seal, note: '' }, { at: head.at, size: 42, root: Buffer.from(head.root).toString('hex'), incarnation: 'inc-1', note: '' });
});

test('a seal reads back, and verifies by its key', (t) => {
  const word = fc.stringMatching(/^[a-z0-9.-]{1,20}$/);
  fc.assert(fc.property(word, fc.maxSafeNat(), fc.uint8Array({ minLength: 32, maxLength: 32 }), word, fc.maxSafeNat(), (name, size, root, incarnation, at) => {
    const any = { origin: name, size, root: Uint8Array.from(root), incarnation, at };
    const { note } = signSeal(any, { ...signer, name });
    t.deepEqual(parseSeal(note), any);
    t.deepEqual(verifySeal(note, { name, public_key: signer.public_key }), { ok: true, head: any });
  }), { numRuns: 50 });
});

test('a seal with any byte changed, added or taken away does not verify', (t) => {
  const { note } = signSeal(head, signer);
  const bytes = Buffer.from(note);
  for (let at = 0; at < bytes.length; at++) {
    for (const replaced of [Buffer.of(bytes[at]! ^ 1), Buffer.of(bytes[at]! ^ 0x20), Buffer.alloc(0), Buffer.of(bytes[at]!, bytes[at]!)]) {
      const changed = Buffer.concat([bytes.subarray(0, at), replaced, bytes.subarray(at + 1)]).toString();
      if (changed !== note) t.false(verifySeal(changed, signer).ok, JSON.stringify(changed));
    }
  }
});

test('another key, another name, another chain do not pass', (t) => {
  const { note } = signSeal(head, signer);
  const other = rawPublicKey(generateKeyPairSync('ed25519').publicKey);
  t.like(verifySeal(note, { name: origin, public_key: other }), { ok: false, reason: 'its signature is not by the key' });
  t.like(verifySeal(note, { name: 'sallyport.example/other', public_key: signer.public_key }), { ok: false });
  t.throws(() => signSeal(head, { ...signer, name: 'sallyport.example/other' }), { instanceOf: TypeError });
});

test('signatures of witnesses are passed over, a false one of the key is not', (t) => {
  const { note } = signSeal(head, signer);
  const witness = generateKeyPairSync('ed25519');
  const second = signNote(parseNote(note)!.text, { name: 'witness.example', public_key: rawPublicKey(witness.publicKey), private_key: witness.privateKey });
  const lines = (text: string): string => text.slice(text.lastIndexOf('\n\n') + 2);
  t.true(verifySeal(note + lines(second), signer).ok);
  t.true(verifySeal(second + lines(note), signer).ok);
  t.false(verifySeal(second, signer).ok);
  const falseLine = lines(signSeal({ ...head, size: 43 }, signer).note);
  t.false(verifySeal(note + falseLine, signer).ok);
});

test('heads that cannot be written so are not sealed', (t) => {
  const bad: readonly Partial<SealedHead>[] = [
    { origin: '' }, { origin: 'a b' }, { origin: 'a\nb' }, { origin: 'a+b' }, { size: -1 }, { size: 1.5 }, { size: 2 ** 53 }, { root: sha256('').subarray(1) },
    { incarnation: '' }, { incarnation: 'a b' }, { incarnation: 'a\n' }, { at: -1 }, { at: Number.NaN },
  ];
  for (const each of bad) t.throws(() => sealText({ ...head, ...each }), { instanceOf: TypeError }, JSON.stringify(each));
});

test('what is no note, no seal or no key is refused', (t) => {
  const { note } = signSeal(head, signer);
  for (const text of ['', '\n', 'a\n', 'a\n\n', note.trimEnd(), note.replace('— ', '- '), `\u0000${note}`, note.replaceAll('\n', '\r\n'), `${note}${'x'.repeat(20_000)}\n`]) {
    t.is(parseSeal(text), undefined, JSON.stringify(text.slice(0, 80)));
  }
  for (const text of ['', 'a+b', neumann.verifier.replace('c74f20a3', 'c74f20a4'), neumann.verifier.replace('+AR', '+BR'), `${neumann.verifier}=`, neumann.verifier.replace('Peter', 'Peter '), `+${neumann.verifier}`]) {
    t.is(parseVerifierKey(text), undefined, text);
  }
  fc.assert(fc.property(fc.string(), (text) => {
    t.is(parseSeal(text), undefined);
    t.is(parseVerifierKey(text), undefined);
  }));
});

test('an auditor may keep a note or lines of seals.jsonl', (t) => {
  const seals = [1, 2, 3].map((size) => signSeal({ ...head, size }, signer));
  t.deepEqual(readSeals(seals[0]!.note), [seals[0]!.note]);
  t.deepEqual(readSeals(`${seals.map((seal) => JSON.stringify(seal)).join('\n')}\n`), seals.map(({ note }) => note));
  for (const text of ['', '\n', '{}', 'x', `${JSON.stringify(seals[0])}\n{"note":"x"}`]) t.is(readSeals(text), undefined, text);
});
