import test from 'ava';
import { isSha256Hex, sha256, sha256Hex } from '../../contracts/digest.ts';

test('SHA-256 of text is that of its UTF-8 bytes', (t) => {
  // FIPS 180-4's example.
  t.is(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  t.is(sha256Hex('é€😀'), sha256Hex(Buffer.from('é€😀')));
  t.is(Buffer.from(sha256('abc')).toString('hex'), sha256Hex('abc'));
});

test('a digest is 64 lower-case hexadecimal digits', (t) => {
  t.true(isSha256Hex(sha256Hex('')));
  for (const text of ['', 'a'.repeat(63), 'a'.repeat(65), 'A'.repeat(64), 'g'.repeat(64), `${'a'.repeat(64)}\n`]) t.false(isSha256Hex(text));
});
