import { createServer, type IncomingMessage } from 'node:http';
import { duplexPair } from 'node:stream';
import test from 'ava';
import * as fc from 'fast-check';
import { bodyReader, chunkStart, chunkEnd, lastChunk } from '../../../proxy/wire/body.ts';
import { HeadCollector } from '../../../proxy/wire/head-collector.ts';
import { judgeRequest } from '../../../proxy/wire/head-rules.ts';
import { parseRequestHead } from '../../../proxy/wire/llhttp.ts';
import { serialiseRequest } from '../../../proxy/wire/serialise.ts';
import { within } from '../../helpers/wait.ts';

/** What `node:http` makes of a stream of bytes: each request with its body, and whether it stumbled. */
async function byNode(bytes: Buffer): Promise<{ readonly requests: { readonly method: string; readonly url: string; readonly fields: string[]; readonly body: string }[]; readonly stumbled: boolean }> {
  const [client, side] = duplexPair();
  const requests: { method: string; url: string; fields: string[]; body: string }[] = [];
  let stumbled = false;
  const server = createServer({ insecureHTTPParser: false }, (message: IncomingMessage, answer) => {
    const seen = { method: message.method ?? '', url: message.url ?? '', fields: message.rawHeaders, body: '' };
    requests.push(seen);
    message.setEncoding('latin1').on('data', (piece: string) => { seen.body += piece; }).on('end', () => { answer.end(); });
  });
  server.on('clientError', (_error, socket) => { stumbled = true; socket.destroy(); });
  const closed = new Promise<void>((resolve) => { side.once('close', resolve); });
  server.emit('connection', side);
  client.on('data', () => { /* Answers are of no interest. */ }).on('error', () => { /* Seen on the other side. */ });
  client.end(bytes);
  await within('node:http', closed);
  return { requests, stumbled };
}

const nasty = ['\r', '\n', '\r\n', '\r\n ', '\0', ' ', '\t', ':', ',', '\x0b', '\x7f', '\xe9', 'Content-Length: 3\r\n', 'Content-Length: 0', 'Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: identity\r\n',
  'Host: b.test\r\n', 'Connection: close\r\n', 'Connection: x\r\nX: 1\r\n', 'Expect: 100-continue\r\n', 'Upgrade: h2c\r\n', 'chunked', 'HTTP/1.0', '0\r\n\r\n', 'GET / HTTP/1.1\r\n', '\r\n\r\n'];
const bases = [
  'GET http://a.test/x?y HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n\r\n',
  'POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello',
  'POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n',
  'DELETE http://a.test/ HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello',
];
const mutated = fc.tuple(fc.constantFrom(...bases), fc.array(fc.tuple(fc.nat(200), fc.nat(3), fc.oneof(fc.constantFrom(...nasty), fc.string({ maxLength: 3 }))), { minLength: 1, maxLength: 4 })).map(([base, edits]) => {
  let text = base;
  for (const [at, cut, put] of edits) {
    const where = at % (text.length + 1);
    text = text.slice(0, where) + put + text.slice(where + cut);
  }
  return Buffer.from(text, 'latin1');
});

/** The first request as the proxy takes and sends it, if it takes it whole. */
function throughUs(bytes: Buffer): { readonly sent: Buffer; readonly method: string; readonly body: string } | undefined {
  const collector = new HeadCollector(true);
  if (collector.feed(bytes) !== 'head') return undefined;
  const judged = judgeRequest(parseRequestHead(collector.head));
  if (judged.kind === 'bad') return undefined;
  const { head } = judged;
  const reader = bodyReader(head.framing);
  const content = reader.read(collector.rest);
  const { state, trailers } = reader;
  reader.release();
  if (state !== 'done' || head.method === 'CONNECT') return undefined;
  const body = Buffer.concat(content);
  const framed = head.framing.kind === 'chunked'
    ? Buffer.concat([...content.flatMap((piece) => [Buffer.from(chunkStart(piece.length)), piece, Buffer.from(chunkEnd)]), Buffer.from(lastChunk(trailers), 'latin1')])
    : body;
  return { sent: Buffer.concat([Buffer.from(serialiseRequest(head, '/judged', 'a.test'), 'latin1'), framed]), method: head.method, body: body.toString('latin1') };
}

test('whatever comes, what we send on is one request to node:http, and the one that we judged', async (t) => {
  let taken = 0;
  await fc.assert(fc.asyncProperty(mutated, async (bytes) => {
    const ours = throughUs(bytes);
    if (ours === undefined) return;
    taken++;
    const { requests, stumbled } = await byNode(ours.sent);
    t.false(stumbled, ours.sent.toString('latin1'));
    t.is(requests.length, 1, ours.sent.toString('latin1'));
    t.like(requests[0], { method: ours.method, url: '/judged', body: ours.body });
    t.is(requests[0]!.fields.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length, 1);
  }), { numRuns: 3000 });
  // Else the test says nothing.
  t.true(taken > 200, String(taken));
});

test('random bytes never throw, whatever their split', (t) => {
  fc.assert(fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))), fc.nat(200), (bytes, cut) => {
    const whole = throughUs(bytes);
    const collector = new HeadCollector(true);
    const at = cut % (bytes.length + 1);
    if (collector.feed(Buffer.from(bytes.subarray(0, at))) === 'more' && collector.feed(bytes.subarray(at)) === 'head') {
      const judged = judgeRequest(parseRequestHead(collector.head));
      if (whole !== undefined) t.is(judged.kind, 'request');
    }
    t.pass();
  }), { numRuns: 5000 });
});
