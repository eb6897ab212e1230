import test from 'ava';
import * as fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { integer, octetString, oid, sequence, time, value } from '../../../../proxy/intercept/x509/der.ts';
import { needs } from '../../../helpers/needs.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const encodings: readonly (readonly [title: string, encoded: Buffer, expected: string])[] = [
  ['zero', integer(Buffer.from([0])), '020100'],
  ['nothing at all as zero', integer(Buffer.from([])), '020100'],
  ['a number without needless zeros', integer(Buffer.from([0, 0, 0x7f])), '02017f'],
  ['a number that would look negative', integer(Buffer.from([0x80])), '02020080'],
  ['a short arc and a long one', oid('1.2.840.10045.4.3.2'), '06082a8648ce3d040302'],
  ['an empty sequence', sequence(), '3000'],
  ['the last instant of 2049', time(Date.UTC(2049, 11, 31, 23, 59, 59, 999)), `170d${Buffer.from('491231235959Z').toString('hex')}`],
  ['the first instant of 2050', time(Date.UTC(2050, 0, 1)), `180f${Buffer.from('20500101000000Z').toString('hex')}`],
];
for (const [title, encoded, expected] of encodings) {
  test(`encoded as DER has it: ${title}`, (t) => {
    t.is(hex(encoded), expected);
  });
}

test('a length takes as few bytes as it can', (t) => {
  fc.assert(fc.property(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 65_535 })), (length) => {
    const encoded = octetString(Buffer.alloc(length, 7));
    const head = length < 128 ? 2 : length < 256 ? 3 : 4;
    t.is(encoded.length, head + length);
    t.is(head === 2 ? encoded[1] : encoded.readUIntBE(2, head - 2), length);
  }));
  t.throws(() => value(4, Buffer.alloc(65_536)), { instanceOf: RangeError });
});

needs('command openssl')('OpenSSL reads what we encode', (t) => {
  const encoded = sequence(integer(Buffer.from('8000000000000000000000000000abcd', 'hex')), oid('2.5.29.17'), octetString(Buffer.alloc(200)), time(Date.UTC(2036, 1, 29, 12)));
  const text = execFileSync('openssl', ['asn1parse', '-inform', 'DER'], { input: encoded, encoding: 'utf8' });
  t.regex(text, /INTEGER +:8000000000000000000000000000ABCD\n.*OBJECT +:X509v3 Subject Alternative Name\n.*OCTET STRING +.*\n.*UTCTIME +:360229120000Z/);
});
