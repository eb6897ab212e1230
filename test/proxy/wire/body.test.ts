import test from 'ava';
import * as fc from 'fast-check';
import { bodyReader, chunkEnd, chunkStart, lastChunk, type BodyReader } from '../../../proxy/wire/body.ts';
import type { ResponseFraming } from '../../../proxy/exchange.ts';

interface Read {
  readonly state: string;
  readonly content: string;
  readonly consumed: number;
  readonly trailers: readonly string[];
}

/** Reads `bytes` in pieces that end at `cuts`. */
function read(framing: ResponseFraming, bytes: Buffer, cuts: readonly number[]): Read {
  const reader: BodyReader = bodyReader(framing);
  const content: Buffer[] = [];
  let consumed = 0;
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    if (reader.state !== 'more' || cut === from) continue;
    // A copy: what a reader keeps must not depend on the buffer that it read from.
    const piece = Buffer.from(bytes.subarray(from, cut));
    content.push(...reader.read(piece).map((part) => Buffer.from(part)));
    consumed += reader.consumed;
    piece.fill(0);
    from = cut;
  }
  const result = { state: reader.state, content: Buffer.concat(content).toString('latin1'), consumed, trailers: [...reader.trailers] };
  reader.release();
  return result;
}

const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 });
const extension = fc.constantFrom('', ';a', ';a=b', ';a="b c";d');
const trailers = fc.array(fc.tuple(fc.constantFrom('X-T', 'Y', 'Server-Timing'), fc.constantFrom('', '1', 'a b')), { maxLength: 3 });

test('a chunked body reads the same however it is split, and leaves what follows', (t) => {
  fc.assert(fc.property(chunks, extension, trailers, fc.array(fc.nat(400), { maxLength: 12 }), (parts, ext, fields, cuts) => {
    const framed = Buffer.concat([
      ...parts.flatMap((part) => [Buffer.from(chunkStart(part.length).replace('\r\n', `${ext}\r\n`)), Buffer.from(part), Buffer.from(chunkEnd)]),
      Buffer.from(lastChunk(fields.flat())),
    ]);
    const bytes = Buffer.concat([framed, Buffer.from('GET / HTTP/1.1\r\n')]);
    const result = read({ kind: 'chunked' }, bytes, cuts.map((cut) => cut % bytes.length));
    t.is(result.state, 'done');
    t.is(result.content, Buffer.concat(parts).toString('latin1'));
    t.is(result.consumed, framed.length);
    t.deepEqual(result.trailers, fields.flat());
  }), { numRuns: 400 });
});

test('a chunked body reads the same split at each single boundary, and byte by byte', (t) => {
  const bytes = Buffer.from('5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: abc  \r\nEmpty:\r\n\r\nrest');
  const whole = read({ kind: 'chunked' }, bytes, []);
  t.deepEqual(whole, { state: 'done', content: 'hello!', consumed: bytes.length - 4, trailers: ['X-Sum', 'abc', 'Empty', ''] });
  for (let cut = 1; cut < bytes.length; cut++) t.deepEqual(read({ kind: 'chunked' }, bytes, [cut]), whole, `split at ${cut}`);
  t.deepEqual(read({ kind: 'chunked' }, bytes, [...bytes.keys()]), whole);
});

const badChunks: readonly (readonly [string, string])[] = [
  ['a size in another notation', '0x3\r\nabc\r\n0\r\n\r\n'],
  ['a sign', '+3\r\nabc\r\n0\r\n\r\n'],
  ['a negative size', '-1\r\nabc\r\n0\r\n\r\n'],
  ['space before the size', ' 3\r\nabc\r\n0\r\n\r\n'],
  ['space after the size', '3 \r\nabc\r\n0\r\n\r\n'],
  ['a size that overflows', 'fffffffffffffffff\r\nabc\r\n'],
  ['a size that ends in LF alone', '3\nabc\r\n0\r\n\r\n'],
  ['a chunk that ends in LF alone', '3\r\nabc\n0\r\n\r\n'],
  ['a chunk without its CRLF', '3\r\nabc0\r\n\r\n'],
  ['a longer chunk than told', '3\r\nabcd\r\n0\r\n\r\n'],
  ['an extension with a lone LF', '3;a\nb\r\nabc\r\n0\r\n\r\n'],
  ['an extension with a control character', '3;a=\u0001\r\nabc\r\n0\r\n\r\n'],
  ['a last chunk that ends in LF alone', '0\n\n'],
  ['no size at all', '\r\n0\r\n\r\n'],
  ['a folded trailer', '0\r\nX: 1\r\n 2\r\n\r\n'],
  ['a trailer with a lone LF', '0\r\nX: 1\nY: 2\r\n\r\n'],
  ['a trailer with space before its colon', '0\r\nX : 1\r\n\r\n'],
  ['a length among the trailers', '0\r\nContent-Length: 3\r\n\r\n'],
  ['a transfer coding among the trailers', '0\r\nTransfer-Encoding: x\r\n\r\n'],
];
for (const [title, body] of badChunks) {
  test(`a chunked body with ${title} is bad, however it is split`, (t) => {
    const bytes = Buffer.from(body, 'latin1');
    t.is(read({ kind: 'chunked' }, bytes, []).state, 'bad');
    t.is(read({ kind: 'chunked' }, bytes, [...bytes.keys()]).state, 'bad');
  });
}

test('chunk extensions and trailers have a bound', (t) => {
  const endless = bodyReader({ kind: 'chunked' });
  endless.read(Buffer.from('3;'));
  for (let count = 0; count < 20 && endless.state === 'more'; count++) endless.read(Buffer.alloc(1000, 'a'));
  t.is(endless.state, 'bad');
  t.regex(endless.problem, /16384 bytes/);
  endless.release();
  const many = bodyReader({ kind: 'chunked' });
  many.read(Buffer.from(`0\r\n${'A: b\r\n'.repeat(500)}`));
  t.is(many.state, 'bad');
  t.regex(many.problem, /too many/);
  many.release();
});

test('decoders come from a pool without carrying anything over', (t) => {
  for (let count = 0; count < 300; count++) {
    const broken = bodyReader({ kind: 'chunked' });
    broken.read(Buffer.from(count % 2 === 0 ? '5\r\nhel' : 'zz\r\n'));
    broken.release();
    broken.release();
  }
  t.is(read({ kind: 'chunked' }, Buffer.from('2\r\nok\r\n0\r\n\r\n'), []).content, 'ok');
});

test('a body of a length takes that many bytes and leaves the rest', (t) => {
  fc.assert(fc.property(fc.nat(60), fc.array(fc.nat(100), { maxLength: 5 }), (length, cuts) => {
    const bytes = Buffer.alloc(100, 'z');
    const result = read({ kind: 'length', bytes: length }, bytes, cuts);
    t.deepEqual(result, { state: 'done', content: 'z'.repeat(length), consumed: length, trailers: [] });
  }));
});

test('a stream that ends early is bad by length and by chunks, and an end where only that ends the body', (t) => {
  for (const [framing, state] of [[{ kind: 'length', bytes: 5 }, 'bad'], [{ kind: 'chunked' }, 'bad'], [{ kind: 'until_close' }, 'done']] as const) {
    const reader = bodyReader(framing);
    reader.read(Buffer.from('2\r\n'));
    reader.finish();
    t.is(reader.state, state, framing.kind);
    reader.release();
  }
});
