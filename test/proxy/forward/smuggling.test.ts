/** The corpora of smuggling shapes through a real worker. What a raw origin received is the verdict, and what a raw client got. */
import test, { type ExecutionContext } from 'ava';
import { errorCatalogue, type ErrorCode } from '../../../contracts/errors.ts';
import { requestShapes, type RequestShape } from '../../corpora/smuggling-requests.ts';
import { responseShapes, type ResponseShape } from '../../corpora/smuggling-responses.ts';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { until } from '../../helpers/wait.ts';
import { startWireWorker, type WireWorker } from '../../helpers/wire-worker.ts';
import type { RawClient } from '../../helpers/proxy-worker.ts';

const lifetime = fileLifetime();
let world: WireWorker;
test.before(async () => { world = await startWireWorker(lifetime); });

const smuggled = 'GET @/smuggled HTTP/1.1\r\nH\r\n\r\n';
const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned';
/** Bytes that all shapes together should have brought to the origin. */
let accounted = 0;

function expand(text: string, authority: string): string {
  const plain = (part: string): string => part.replaceAll('@', `http://${authority}`).replaceAll('^', authority).replaceAll(/^H(?=\r)/gm, `Host: ${authority}`);
  const request = plain(smuggled);
  // `http://evil.test@^` has an `@` of its own.
  return plain(text.replaceAll('test@^', 'test\0^')).replaceAll('test\0', 'test@').replaceAll('{smuggled}', request).replaceAll('{length}', String(request.length));
}

const statusOf = (code: string): number => (code.startsWith('core.') ? 403 : errorCatalogue[code as ErrorCode].status);
const countAnswers = (text: string): number => text.match(/^HTTP\/1\.1 \d/gm)?.length ?? 0;

async function after(t: ExecutionContext, client: RawClient, authority: string): Promise<void> {
  const before = world.seen();
  client.send(`GET http://${authority}/after HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const peer = await world.peer(before);
  const expected = `GET /after HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
  await peer.hears('\r\n\r\n');
  t.is(peer.text, expected);
  accounted += expected.length;
  peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  t.is((await client.answer()).body, 'ok');
}

async function runRequest(t: ExecutionContext, { sent, expected }: RequestShape): Promise<void> {
  const authority = world.fresh();
  const before = world.seen();
  const client = world.connect(t);
  const bytes = expand(sent, authority);
  switch (expected.kind) {
    case 'refused': {
      const text = await client.send(bytes + expand(smuggled, authority)).ended();
      t.regex(text, new RegExp(`^HTTP/1\\.1 ${statusOf(expected.code)} [^]*"code": "${expected.code}"`));
      t.regex(text, /\r\nConnection: close\r\n/);
      t.is(countAnswers(text), 1, 'one answer');
      t.is(world.seen(), before, 'nothing at the origin');
      return;
    }
    case 'kept': {
      const answer = await client.send(bytes).answer();
      t.deepEqual([answer.status, answer.code], [statusOf(expected.code), expected.code]);
      t.is(world.seen(), before, 'nothing at the origin');
      return after(t, client, authority);
    }
    case 'received': {
      const wanted = expand(expected.bytes, authority);
      client.send(bytes);
      const peer = await world.peer(before);
      await until('the whole request', () => peer.bytes.length >= wanted.length);
      peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      const text = await client.until('the answer', (all) => all.endsWith('\r\n\r\nok'));
      if (/\r\nConnection: close\r\n/.test(text)) await client.ended();
      t.is(peer.text, wanted);
      t.is(countAnswers(client.text), 1, 'one answer');
      accounted += wanted.length;
      return;
    }
    case 'cut': {
      const text = await client.send(bytes + expand(smuggled, authority)).ended();
      t.regex(text, /^HTTP\/1\.1 400 [^]*\r\nConnection: close\r\n[^]*"code": "bad_request"/);
      t.is(countAnswers(text), 1, 'one answer');
      const peer = await world.peer(before);
      await peer.ends();
      const head = expand(expected.head, authority);
      t.is(peer.text.slice(0, head.length), head);
      t.regex(peer.text.slice(head.length), /^(?:5\r\nhello\r\n)?(?:3\r\nabc\r\n|6\r\nabc\r\n0\r\n)?$/, 'good chunks, and no last one');
      accounted += peer.bytes.length;
    }
  }
}

async function runResponse(t: ExecutionContext, { answer, method = 'GET', late, ends, expected }: ResponseShape): Promise<void> {
  const authority = world.fresh();
  const before = world.seen();
  const client = world.connect(t);
  const fill = (text: string): string => text.replaceAll('{poison}', poison);
  client.send(`${method} http://${authority}/one HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const peer = await world.peer(before);
  accounted += (await peer.hears('\r\n\r\n')).length;
  peer.send(fill(answer));
  if (ends === 'end') peer.socket.end();
  switch (expected.kind) {
    case 'bad_gateway': {
      let { status, code } = await client.answer();
      while (status < 200) ({ status, code } = await client.answer());
      t.deepEqual([status, code], [502, 'upstream_protocol']);
      await peer.ends();
      return after(t, client, authority);
    }
    case 'passes': {
      const wanted = fill(expected.bytes);
      await client.until('the answer', (all) => all.length >= wanted.length);
      if (late !== undefined) {
        peer.send(late);
        await peer.ends();
      }
      t.is(client.text, wanted);
      if (!expected.reused) await peer.ends();
      client.send(`GET http://${authority}/two HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
      const next = await world.peer(expected.reused ? before : before + 1);
      const heard = await next.hears('GET /two ');
      if (expected.reused) t.is(world.seen(), before + 1);
      accounted += heard.slice(heard.indexOf('GET /two ')).length;
      next.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh');
      await client.until('the next answer', (all) => all.endsWith('fresh'));
      t.is(client.text, `${wanted}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh`);
      return;
    }
    case 'cut': {
      if (ends === 'reset') {
        await client.until('the part', (all) => all.length >= expected.bytes.length);
        peer.socket.resetAndDestroy();
      }
      t.is(await client.ended(), expected.bytes);
      await peer.ends();
    }
  }
}

test('the corpora are as large as they should be, and no title stands twice', (t) => {
  t.true(requestShapes.length >= 70);
  t.true(responseShapes.length >= 40);
  const titles = [...requestShapes.map(({ title }) => `request ${title}`), ...responseShapes.map(({ title }) => `answer ${title}`)];
  t.is(new Set(titles).size, titles.length);
});

// One after the other: whatever reaches the origin meanwhile is the shape's.
for (const shape of requestShapes) test.serial(`request: ${shape.title}: ${shape.expected.kind}`, (t) => runRequest(t, shape));
for (const shape of responseShapes) test.serial(`answer: ${shape.title}: ${shape.expected.kind}`, (t) => runResponse(t, shape));

test.serial('not a byte more than those ever reached the origin, and no request that was smuggled', (t) => {
  t.is(world.origin.peers.reduce((sum, peer) => sum + peer.bytes.length, 0), accounted);
  for (const peer of world.origin.peers) t.notRegex(peer.text, /^GET \/smuggled /m);
});
