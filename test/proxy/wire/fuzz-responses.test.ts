/**
 * What we pass on of an origin's bytes, a client of `node:http` parses to exactly what was judged.
 * A failure prints its seed and path: hence, inside the properties, assertions of Node, which fast-check sees.
 */
import assert from 'node:assert/strict';
import test from 'ava';
import * as fc from 'fast-check';
import type { RequestHead } from '../../../proxy/exchange.ts';
import { fuzzRuns } from '../../helpers/fuzz.ts';
import { cuts, mutated, split } from './mutations.ts';
import { nodeClient } from './node-http.ts';
import { fieldsThatGoOn, passAnswer, type OurAnswer } from './our-reading.ts';

const bases = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nX-T: y\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello',
  'HTTP/1.0 404 Not Found\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello',
  'HTTP/1.1 204 No Content\r\nX: y\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\r\nok',
];
const requestOf = (method: string): RequestHead => ({
  method, target: '/', version: '1.1', headers: ['Host', 'a.test', 'TE', 'trailers'], framing: { kind: 'none' }, expects_continue: false, upgrade: undefined,
});

test('whatever an origin sends, a client of node:http gets the answer that we judged, and can tell one that is cut', async (t) => {
  const counts = { done: 0, cut: 0, refused: 0 };
  const began = performance.now();
  const runs = fuzzRuns(2.5);
  await fc.assert(fc.asyncProperty(mutated(bases), cuts, fc.constantFrom('GET', 'GET', 'GET', 'HEAD'), async (bytes, at, method) => {
    let ours: OurAnswer | undefined;
    const theirs = await nodeClient(method, (stream) => {
      ours = passAnswer(split(bytes, at), method, stream, requestOf(method));
      // Where the writer leaves the connection open, the end of the answer is told by its framing or not at all.
      if (ours.end !== 'done') stream.end();
    });
    const { head, content, trailers, interim, end } = ours!;
    counts[end]++;
    if (end === 'refused' || head === undefined) {
      assert.equal(theirs, undefined, 'nothing of a refused answer reaches the client');
      return;
    }
    if (end === 'cut') {
      assert.notEqual(theirs?.complete, true, 'a cut answer is not taken for a whole one');
      return;
    }
    const chunked = head.framing.kind === 'chunked' || head.framing.kind === 'until_close';
    const fields = fieldsThatGoOn(head.headers);
    const values = head.headers.filter((_, index) => index % 2 === 1 && head.headers[index - 1]!.toLowerCase() === 'trailer');
    if (chunked) fields.push(...values.length > 0 ? ['Trailer', values.join(', ')] : [], 'Transfer-Encoding', 'chunked');
    assert.deepEqual(theirs, {
      status: head.status, reason: head.reason, interim, complete: true, body: content.toString('latin1'), trailers: [...trailers],
      fields: head.status === 204 ? fields.filter((_, index) => fields[index - index % 2]!.toLowerCase() !== 'content-length') : fields,
    });
  }), { numRuns: runs });
  t.log(`${runs} cases, ${Math.round(runs / (performance.now() - began) * 1000)}/s; ${JSON.stringify(counts)}`);
  t.true(counts.done > runs / 5 && counts.cut > runs / 50 && counts.refused > runs / 5, JSON.stringify(counts));
});
