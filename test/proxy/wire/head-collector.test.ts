import test from 'ava';
import * as fc from 'fast-check';
import { HeadCollector } from '../../../proxy/wire/head-collector.ts';

const head = 'GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n';

function collect(text: string, cuts: readonly number[], skipsEmptyLines: boolean = true): { readonly what: string; readonly head: string; readonly rest: string; readonly problem: string } {
  const collector = new HeadCollector(skipsEmptyLines);
  const bytes = Buffer.from(text, 'latin1');
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    if (cut <= from) continue;
    const piece = Buffer.from(bytes.subarray(from, cut));
    const what = collector.feed(piece);
    const got = { what, head: collector.head.toString('latin1'), rest: collector.rest.toString('latin1') + bytes.toString('latin1', cut), problem: collector.problem };
    if (what !== 'more') return got;
    // Read buffers are used again.
    piece.fill(0);
    from = cut;
  }
  return { what: 'more', head: '', rest: '', problem: '' };
}

test('a head is the same however it is split, and what follows stays', (t) => {
  fc.assert(fc.property(fc.constantFrom('', '\r\n', '\r\n\r\n'), fc.array(fc.nat(60), { maxLength: 10 }), (before, cuts) => {
    t.like(collect(`${before}${head}body\r\n\r\n`, cuts), { what: 'head', head, rest: 'body\r\n\r\n' });
  }), { numRuns: 500 });
});

test('each single split gives the same head', (t) => {
  for (let cut = 1; cut < head.length; cut++) t.like(collect(`${head}rest`, [cut]), { what: 'head', head, rest: 'rest' });
});

test('a collector can be used for one head after the other', (t) => {
  const collector = new HeadCollector(true);
  for (let count = 0; count < 3; count++) {
    t.is(collector.feed(Buffer.from(head.slice(0, 10))), 'more');
    t.true(collector.partial);
    t.is(collector.feed(Buffer.from(head.slice(10))), 'head');
    t.false(collector.partial);
    t.is(collector.head.toString(), head);
  }
});

const bad: readonly (readonly [string, string, RegExp])[] = [
  ['a bare LF in the request line', 'GET / HTTP/1.1\nHost: a\r\n', /LF alone/],
  ['bare LFs throughout', 'GET / HTTP/1.1\nHost: a\n\n', /LF alone/],
  ['a TLS record', '\x16\x03\x01\x02\x00', /begin as HTTP/],
  ['a leading space', ' GET / HTTP/1.1\r\n', /begin as HTTP/],
  ['a leading LF', '\nGET / HTTP/1.1\r\n', /begin as HTTP/],
  ['nothing but empty lines', '\r\n'.repeat(8), /empty lines/],
  ['more than 64 KiB without an end', `GET / HTTP/1.1\r\nX: ${'a'.repeat(66_000)}`, /larger than 65536/],
  ['more than 64 KiB with an end', `GET / HTTP/1.1\r\nX: ${'a'.repeat(66_000)}\r\n\r\n`, /larger than 65536/],
];
for (const [title, text, problem] of bad) {
  test(`${title} is told at once, without waiting for an end of the head`, (t) => {
    t.like(collect(text, []), { what: 'bad' });
    t.regex(collect(text, []).problem, problem);
    t.is(collect(text, [...Array(Math.min(text.length, 40)).keys()]).what, 'bad');
  });
}

test('an answer may not start with an empty line', (t) => {
  t.is(collect('\r\nHTTP/1.1 200 OK\r\n\r\n', [], false).what, 'bad');
});
