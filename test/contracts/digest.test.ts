import test from 'ava';
import { sha256, sha256Hex } from '../../contracts/digest.ts';

test('SHA-256 of text is that of its UTF-8 bytes', (t) => {
  // FIPS 180-4's example.
  t.is(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  t.is(sha256Hex('é€😀'), sha256Hex(Buffer.from('é€😀')));
  t.is(Buffer.from(sha256('abc')).toString('hex'), sha256Hex('abc'));
});
