/**
 * What we take of a client's bytes and send on, `node:http` parses to exactly what was judged.
 * A failure prints its seed and path: hence, inside the properties, assertions of Node, which fast-check sees.
 */
import assert from 'node:assert/strict';
import test from 'ava';
import * as fc from 'fast-check';
import { fuzzRuns } from '../../helpers/fuzz.ts';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { cuts, mutated, split } from './mutations.ts';
import { nodeServer } from './node-http.ts';
import { fieldsThatGoOn, members, readRequests, sentOn, type TakenRequest } from './our-reading.ts';

const byNode = nodeServer(fileLifetime());

const bases = [
  'GET http://a.test/x?y HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nX-A: 1\r\nx-a: 2\r\n\r\n',
  'POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello',
  'POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nX-T: y\r\n\r\n',
  'DELETE http://a.test/ HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello',
  'OPTIONS http://a.test/o HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 3\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n\r\n',
  'PUT http://a.test/p HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 0003\r\nContent-Length: 3\r\n\r\nabc',
  'GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nProxy-Connection: keep-alive\r\n\r\n',
];
const message = mutated(bases);

/** The list of fields that the origin is to see. */
function expectedFields({ head }: TakenRequest): string[] {
  const fields = fieldsThatGoOn(head.headers);
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!.toLowerCase();
    if (name === 'host') fields[index + 1] = 'judged.test';
    if (name === 'max-forwards' && (head.method === 'OPTIONS' || head.method === 'TRACE')) fields[index + 1] = String(Number(fields[index + 1]) - 1);
  }
  if (!fields.some((field, index) => index % 2 === 0 && field.toLowerCase() === 'host')) fields.unshift('Host', 'judged.test');
  const values = (name: string): string[] => head.headers.filter((_, index) => index % 2 === 1 && head.headers[index - 1]!.toLowerCase() === name);
  if (members(values('te').join(',')).includes('trailers')) fields.push('TE', 'trailers', 'Connection', 'TE');
  if (head.expects_continue) fields.push('Expect', '100-continue');
  if (head.framing.kind === 'chunked') {
    if (values('trailer').length > 0) fields.push('Trailer', values('trailer').join(', '));
    fields.push('Transfer-Encoding', 'chunked');
  }
  return fields;
}

/** Cases of one run: their requests go to node:http on one connection, so each must also end where we say. */
const perRun = 25;

test('whatever a client sends, node:http reads what we send on as the requests that we judged, and no other', async (t) => {
  let refused = 0;
  let compared = 0;
  const began = performance.now();
  const runs = Math.ceil(fuzzRuns(15) / perRun);
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(message, cuts), { minLength: perRun, maxLength: perRun }), cuts, async (cases, outCuts) => {
    const taken: TakenRequest[] = [];
    for (const [bytes, at] of cases) {
      const read = readRequests([Buffer.from(bytes)]);
      const pieces = readRequests(split(bytes, at));
      assert.equal(pieces.end, read.end, 'whatever its split');
      assert.deepEqual(pieces.taken.map(({ head, content, trailers }) => [head, content, trailers]), read.taken.map(({ head, content, trailers }) => [head, content, trailers]));
      if (read.end === 'refused') refused++;
      taken.push(...pieces.taken.filter(({ head }) => head.method !== 'CONNECT'));
    }
    compared += taken.length;
    const targets = taken.map((_, index) => `/judged/${index}`);
    const sent = taken.map((request, index) => sentOn(request, targets[index]!, 'judged.test'));
    const { requests, stumbled } = await byNode(split(Buffer.concat(sent), outCuts));
    const all = (): string => JSON.stringify(sent.map((bytes) => bytes.toString('latin1')));
    if (stumbled) assert.fail(`node:http stumbles over ${all()}`);
    if (requests.length !== taken.length) assert.fail(`${requests.length} requests instead of ${taken.length} in ${all()}`);
    assert.deepEqual(
      requests.map(({ method, url, fields, body, trailers }) => ({ method, url, fields, body, trailers })),
      taken.map((request, index) => ({
        method: request.head.method, url: targets[index]!, fields: expectedFields(request), body: request.content.toString('latin1'), trailers: [...request.trailers],
      })),
    );
  }), { numRuns: runs });
  t.log(`${runs * perRun} cases, ${Math.round(runs * perRun / (performance.now() - began) * 1000)}/s; ${compared} requests compared, ${refused} refused`);
  // Else the test says nothing.
  t.true(compared > runs * perRun / 5, String(compared));
  t.true(refused > runs * perRun / 5, String(refused));
});
