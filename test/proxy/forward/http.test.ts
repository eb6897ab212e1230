import test, { type ExecutionContext } from 'ava';
import { until, within } from '../../helpers/wait.ts';
import { heldBytes, onHeads, startOrigin, startWireProxy, TestBudget, type Origin, type Peer, type WireProxyOptions } from '../wire-world.ts';
import { Stop } from '../../../proxy/enforce/stop.ts';

interface Pair {
  readonly origin: Origin;
  readonly proxy: Awaited<ReturnType<typeof startWireProxy>>;
  readonly client: Peer;
  /** A request line and Host for the origin. */
  readonly start: (method?: string, path?: string, version?: string) => string;
}

/** An origin that answers each head with `answer`, a proxy and one client. */
async function pair(t: ExecutionContext, answer: string | ((peer: Peer, head: string, count: number) => void), options: WireProxyOptions = {}): Promise<Pair> {
  const origin = await startOrigin(t, (peer) => onHeads(peer, (head, count) => { if (typeof answer === 'string') peer.send(answer); else answer(peer, head, count); }));
  const proxy = await startWireProxy(t, options);
  return {
    origin, proxy, client: await proxy.connect(),
    start: (method = 'GET', path = '/', version = '1.1') => `${method} http://a.test:${origin.port}${path} HTTP/${version}\r\nHost: a.test\r\n`,
  };
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const count = (text: string, part: string): number => text.split(part).length - 1;

test('a request reaches the origin in origin form, of our hop only, and its answer comes back', async (t) => {
  const answer = 'HTTP/1.1 200 Fine Thanks\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-CaSe: 1\r\nConnection: x-r\r\nX-R: 1\r\nProxy-Authenticate: x\r\nContent-Length: 2\r\n\r\nok';
  const { origin, proxy, client } = await pair(t, answer);
  client.send(`GET http://a.test:${origin.port}/a/../b?x=%20 HTTP/1.1\r\nHost: a.test\r\nX-Dup: 1\r\nUser-Agent: t\r\nX-dup: 2\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nAuthorization: mine\r\n\r\n`);
  await client.hears('\r\n\r\nok');
  t.is(client.text, 'HTTP/1.1 200 Fine Thanks\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-CaSe: 1\r\nContent-Length: 2\r\n\r\nok');
  t.is(origin.peers[0]!.text, `GET /a/../b?x=%20 HTTP/1.1\r\nHost: origin.test:${origin.port}\r\nX-Dup: 1\r\nUser-Agent: t\r\nX-dup: 2\r\nAuthorization: mine\r\n\r\n`);
  const outcome = await proxy.outcome(0);
  t.like(outcome, { kind: 'completed', status: 200, address: '127.0.0.1', code: undefined, bytes_out: origin.peers[0]!.bytes.length, bytes_in: answer.length });
  t.true(outcome.first_byte_ms! > 0 && outcome.duration_ms >= outcome.first_byte_ms!);
  t.true(outcome.response_headers.includes('X-CaSe'));
});

test('requests on one client connection share one connection to the origin, pipelined or not', async (t) => {
  const { origin, client, start } = await pair(t, (peer, head) => peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ${/ (\S+) /.exec(head)![1]}\r\n\r\nok`));
  client.send(`${start('GET', '/1')}\r\n`);
  await client.hears('X: /1\r\n\r\nok');
  client.send(`${start('GET', '/2')}\r\n${start('GET', '/3')}\r\n${start('GET', '/4')}\r\n`);
  await client.hears('X: /4\r\n\r\nok');
  t.deepEqual([...client.text.matchAll(/X: (\/\d)/g)].map((match) => match[1]), ['/1', '/2', '/3', '/4']);
  t.is(origin.peers.length, 1);
});

const answers: readonly (readonly [string, string, string, string, string | undefined])[] = [
  // Title, method, answer of the origin, what a client of HTTP/1.1 gets, what one of HTTP/1.0 gets (undefined: the same, closed).
  ['a length', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'],
  ['chunks', 'GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\n\r\n', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok'],
  ['an empty chunked body', 'GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'],
  ['HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n', undefined],
  ['HEAD with chunks', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n', undefined],
  ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 204 No Content\r\n\r\n', undefined],
  ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: "a"\r\n\r\n', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: "a"\r\n\r\n', undefined],
];
for (const [title, method, answer, expected, expectedOld] of answers) {
  test(`an answer with ${title} comes whole, the connection to the origin is kept, and HTTP/1.0 gets no chunks`, async (t) => {
    const { origin, proxy, client, start } = await pair(t, answer);
    client.send(`${start(method)}\r\n${start(method)}\r\n`);
    await until('two answers', () => client.text.length >= expected.length * 2);
    t.is(client.text, expected + expected);
    t.is(origin.peers.length, 1);
    const old = await proxy.connect();
    old.send(`${method} http://a.test:${origin.port}/ HTTP/1.0\r\n\r\n`);
    await old.ends();
    t.is(old.text, expectedOld ?? expected.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  });
}

test('an answer with 204 that announces a body comes without, and nobody is given its connection again', async (t) => {
  const { origin, client, start } = await pair(t, 'HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n');
  const expected = 'HTTP/1.1 204 No Content\r\n\r\n';
  client.send(`${start()}\r\n${start()}\r\n`);
  await until('two answers', () => client.text.length >= expected.length * 2);
  t.is(client.text, expected + expected);
  t.is(origin.peers.length, 2);
});

test('a body that ends with the connection becomes chunks for HTTP/1.1, and the end of the connection for HTTP/1.0', async (t) => {
  const { origin, proxy, client, start } = await pair(t, (peer) => { peer.send('HTTP/1.1 200 OK\r\nX: 1\r\n\r\nhel'); setImmediate(() => { peer.send('lo'); peer.socket.end(); }); });
  client.send(`${start()}\r\n`);
  await client.hears('0\r\n\r\n');
  t.regex(client.text, /^HTTP\/1\.1 200 OK\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n(3\r\nhel\r\n2\r\nlo|5\r\nhello)\r\n0\r\n\r\n$/);
  const old = await proxy.connect();
  old.send(`GET http://a.test:${origin.port}/ HTTP/1.0\r\n\r\n`);
  await old.ends();
  t.is(old.text, 'HTTP/1.1 200 OK\r\nX: 1\r\nConnection: close\r\n\r\nhello');
});

test('bodies keep their framing on the way up, whatever the method', async (t) => {
  const { origin, proxy, client, start } = await pair(t, () => { /* Answers below. */ });
  client.send(`${start('DELETE')}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n`);
  await until('the first chunk', () => origin.peers[0]?.text.endsWith('3\r\nabc\r\n'));
  client.send('23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\nX-T: 1\r\n\r\n');
  await origin.peers[0]!.hears('X-T: 1\r\n\r\n');
  t.is(origin.peers[0]!.text, `DELETE / HTTP/1.1\r\nHost: origin.test:${origin.port}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\nX-T: 1\r\n\r\n`);
  origin.peers[0]!.send(ok);
  await client.hears('ok');
  client.send(`${start('GET')}Content-Length: 5\r\n\r\nhello`);
  await origin.peers[0]!.hears(/GET \/ HTTP\/1\.1\r\nHost: [^\r]+\r\nContent-Length: 5\r\n\r\nhello$/);
  origin.peers[0]!.send(ok);
  t.like(await proxy.outcome(1), { kind: 'completed' });
});

test('interim answers reach clients of HTTP/1.1, and 100 only those who asked', async (t) => {
  const { origin, proxy, client, start } = await pair(t, (peer) => peer.send(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\n${ok}`));
  client.send(`${start()}\r\n`);
  await client.hears('ok');
  t.is(client.text, `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok}`);
  const old = await proxy.connect();
  old.send(`GET http://a.test:${origin.port}/ HTTP/1.0\r\n\r\n`);
  await old.ends();
  t.true(old.text.startsWith('HTTP/1.1 200 OK'));
});

test('Expect is answered when the origin answers it', async (t) => {
  const { origin, client, start } = await pair(t, () => { /* Waits. */ }, { forward: { continue_ms: 60_000 } });
  client.send(`${start('POST')}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  await until('the head at the origin', () => origin.peers[0]?.text.includes('Expect: 100-continue\r\n'));
  t.is(client.text, '');
  origin.peers[0]!.send('HTTP/1.1 100 Continue\r\n\r\n');
  await client.hears('HTTP/1.1 100 Continue\r\n\r\n');
  client.send('hello');
  await origin.peers[0]!.hears('\r\n\r\nhello');
  origin.peers[0]!.send(ok);
  await client.hears('ok');
  t.is(client.text, `HTTP/1.1 100 Continue\r\n\r\n${ok}`);
});

test('an origin that does not answer Expect gets the body after a while', async (t) => {
  const { origin, client, start } = await pair(t, () => { /* Waits. */ }, { forward: { continue_ms: 300 } });
  client.send(`${start('POST')}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  await client.hears('HTTP/1.1 100 Continue\r\n\r\n');
  client.send('hello');
  await origin.peers[0]!.hears('\r\n\r\nhello');
  origin.peers[0]!.send(ok);
  await client.hears('ok');
  t.pass();
});

test('an origin that refuses what is expected is heard, without a 100, and the body never asked for', async (t) => {
  const { client, start, origin } = await pair(t, 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n');
  client.send(`${start('POST')}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  await client.ends();
  t.is(client.text, 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  await until('the end at the origin', () => origin.peers[0]!.ended || origin.peers[0]!.closed);
});

test('an early final answer wins over the upload', async (t) => {
  const { client, start, origin, proxy } = await pair(t, (peer) => { peer.socket.pause(); peer.send('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig'); });
  const upload = 64 * 1024 * 1024;
  client.send(`${start('POST')}Content-Length: ${upload}\r\n\r\n`);
  client.send(Buffer.alloc(upload));
  await client.hears('\r\n\r\nbig');
  await client.ends();
  t.regex(client.text, /^HTTP\/1\.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig$/);
  t.like(await proxy.outcome(0), { kind: 'completed', status: 413 });
  t.true((await proxy.outcome(0)).bytes_out < upload);
  t.is(origin.peers.length, 1);
});

test('an upload that goes on after the answer began is heard to its end', async (t) => {
  const { client, start, origin, proxy } = await pair(t, (peer, _head, index) => { if (index === 0) peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'); });
  client.send(`${start('POST')}Transfer-Encoding: chunked\r\n\r\n`);
  await client.hears('\r\n\r\n');
  client.send('2\r\nhi\r\n');
  await origin.peers[0]!.hears('2\r\nhi\r\n');
  origin.peers[0]!.send('2\r\nhi\r\n');
  await client.hears('2\r\nhi\r\n');
  client.send('0\r\n\r\n');
  await origin.peers[0]!.hears('0\r\n\r\n');
  origin.peers[0]!.send('0\r\n\r\n');
  await client.hears('0\r\n\r\n');
  t.like(await proxy.outcome(0), { kind: 'completed' });
});

test('trailers of an answer reach a client that takes them, and no other', async (t) => {
  const { client, start, origin } = await pair(t, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n');
  client.send(`${start()}TE: trailers\r\nConnection: TE\r\n\r\n`);
  await client.hears('X-T: 1\r\n\r\n');
  t.is(client.text, 'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n');
  t.regex(origin.peers[0]!.text, /\r\nTE: trailers\r\nConnection: TE\r\n/);
  client.forget();
  client.send(`${start()}\r\n`);
  await client.hears('0\r\n\r\n');
  t.is(client.text, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
});

test('a trailer that frames ends the exchange, up and down', async (t) => {
  const { client, start, origin, proxy } = await pair(t, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHost: b\r\n\r\n');
  client.send(`${start()}\r\n`);
  await client.ends();
  t.false(client.text.includes('0\r\n'));
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_protocol' });
  const second = await proxy.connect();
  second.send(`${start('POST')}Transfer-Encoding: chunked\r\nX: up\r\n\r\n2\r\nok\r\n0\r\nAuthorization: b\r\n\r\n`);
  await second.ends();
  await until('both outcomes', () => proxy.outcomes.length === 2);
  for (const peer of origin.peers) t.false(peer.text.includes('Authorization'));
});

const deaths: readonly (readonly [string, string, '1.1' | '1.0'])[] = [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart', '1.1'],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n', '1.1'],
  ['a length, to HTTP/1.0', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart', '1.0'],
  ['chunks, to HTTP/1.0', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n', '1.0'],
];
for (const [title, answer, version] of deaths) {
  test(`an origin that dies in the middle of a body with ${title} closes the client at once`, async (t) => {
    for (const how of ['end', 'reset'] as const) {
      const { client, start, proxy, origin } = await pair(t, answer);
      client.send(`${start('GET', '/', version)}\r\n`);
      await client.hears('part');
      if (how === 'end') origin.peers[0]!.socket.end();
      else origin.peers[0]!.socket.resetAndDestroy();
      const began = performance.now();
      await client.ends();
      t.true(performance.now() - began < 1000);
      t.false(client.text.endsWith('0\r\n\r\n'));
      // Without framing only a reset tells a cut body from a whole one.
      if (title === 'chunks, to HTTP/1.0') await until('a reset', () => client.error?.code === 'ECONNRESET');
      t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_reset', status: 200 });
    }
  });
}

test('a client that goes away closes the connection to the origin within 200 ms', async (t) => {
  for (const [when, answer] of [['before the answer', ''], ['during the answer', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart']] as const) {
    for (const how of ['destroy', 'end'] as const) {
      const { client, start, proxy, origin } = await pair(t, (peer) => peer.send(answer));
      client.send(`${start()}\r\n`);
      await until('the request', () => origin.peers[0]?.text.includes('\r\n\r\n'));
      if (answer !== '') await client.hears('part');
      const began = performance.now();
      if (how === 'end') client.socket.end();
      else client.socket.destroy();
      await until(`the end at the origin, ${when}`, () => origin.peers[0]!.ended || origin.peers[0]!.closed);
      t.true(performance.now() - began < 200 + 300, 'with some grace for a busy machine');
      t.like(await proxy.outcome(0), { kind: 'failed', code: 'client_gone' });
    }
  }
});

test('a client that goes away while the origin is dialled or the budget asked leaves nothing behind', async (t) => {
  const budget = new TestBudget({ bytes_out: 0 }, true);
  const { client, start, proxy, origin } = await pair(t, ok, { permit: () => ({ spending: budget }) });
  client.send(`${start()}\r\n`);
  await until('the question for budget', () => budget.asked.length > 0);
  client.socket.destroy();
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'client_gone', bytes_out: 0 });
  budget.grant('bytes_out', 1000);
  await until('the end at the origin', () => origin.peers[0]!.closed || origin.peers[0]!.ended);
  t.is(origin.peers[0]!.text, '');
  t.is(budget.left.bytes_out, 1000);
});

/** An origin whose connections answer once and then die at the second request. */
const stale = (peer: Peer, _head: string, index: number): void => {
  if (index === 0) peer.send(ok);
  else peer.socket.destroy();
};

test('a GET on a stale connection is tried once more, and the try is asked for', async (t) => {
  let tries = 0;
  const { client, start, origin, proxy } = await pair(t, stale, { permit: () => ({ anotherTry: () => { tries++; return Promise.resolve(true); } }) });
  client.send(`${start()}\r\n`);
  await client.hears('ok');
  client.send(`${start('GET', '/again')}\r\n`);
  await until('the second answer', () => count(client.text, ok) === 2);
  t.is(tries, 1);
  t.is(origin.peers.length, 2);
  t.like(await proxy.outcome(1), { kind: 'completed', bytes_out: 2 * `GET /again HTTP/1.1\r\nHost: origin.test:${origin.port}\r\n\r\n`.length });
});

test('without budget for another try, and for what is not idempotent or has a body, a stale connection is a 502', async (t) => {
  for (const [method, fields, body, allowed] of [['GET', '', '', false], ['POST', '', '', true], ['PUT', 'Content-Length: 2\r\n', 'hi', true]] as const) {
    let tries = 0;
    const { client, start, origin } = await pair(t, stale, { permit: () => ({ anotherTry: () => { tries++; return Promise.resolve(allowed); } }) });
    client.send(`${start()}\r\n`);
    await client.hears('ok');
    client.send(`${start(method, '/again')}${fields}\r\n${body}`);
    await client.hears('"code": "upstream_reset"');
    t.regex(client.text, /HTTP\/1\.1 502 Bad Gateway/);
    t.is(tries, method === 'GET' ? 1 : 0);
    t.is(origin.peers.length, 1);
  }
});

test('a fresh connection that dies is not tried again', async (t) => {
  let tries = 0;
  const { client, start } = await pair(t, (peer) => peer.socket.destroy(), { permit: () => ({ anotherTry: () => { tries++; return Promise.resolve(true); } }) });
  client.send(`${start()}\r\n`);
  await client.hears('"code": "upstream_reset"');
  t.is(tries, 0);
});

test('what an origin says on an idle connection closes it and reaches nobody', async (t) => {
  const { client, start, origin } = await pair(t, (peer, _head, index) => peer.send(index === 0 ? ok : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh'));
  client.send(`${start()}\r\n`);
  await client.hears('ok');
  origin.peers[0]!.send('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned');
  await until('the end of the connection', () => origin.peers[0]!.ended || origin.peers[0]!.closed);
  client.send(`${start()}\r\n`);
  await until('the second answer', () => count(client.text, 'HTTP/1.1 200') === 2);
  t.false(client.text.includes('poisoned'));
  t.is(origin.peers.length, 2);
});

test('bytes behind an answer end the connection and reach nobody', async (t) => {
  const { client, start, origin } = await pair(t, `${ok}HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned`);
  client.send(`${start()}\r\n${start()}\r\n`);
  await until('both answers', () => count(client.text, 'HTTP/1.1 200') === 2);
  t.is(client.text, ok + ok);
  t.is(origin.peers.length, 2);
});

test('connections are kept only where the origin lets us, and by key', async (t) => {
  const { client, start, origin } = await pair(t, (peer, head) => peer.send(head.includes('/close') ? ok.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n') : ok), {
    permit: (exchange) => ({ pool_key: exchange.head.headers.includes('other') ? 'run_other' : 'run_test' }),
  });
  const ask = async (path: string, fields: string = ''): Promise<number> => {
    client.forget();
    client.send(`${start('GET', path)}${fields}\r\n`);
    await client.hears('ok');
    return origin.peers.length;
  };
  t.is(await ask('/'), 1);
  t.is(await ask('/', 'X: other\r\n'), 2);
  t.is(await ask('/'), 2);
  t.is(await ask('/close'), 2);
  t.is(await ask('/'), 3);
});

test('an idle connection is closed after its time', async (t) => {
  const { client, start, origin } = await pair(t, ok, { forward: { pooled_ms: 300 } });
  client.send(`${start()}\r\n`);
  await client.hears('ok');
  await until('the end of the idle connection', () => origin.peers[0]!.ended || origin.peers[0]!.closed);
  t.pass();
});

const failures: readonly (readonly [string, string, number, string])[] = [
  ['something that is not HTTP', 'SSH-2.0-x\r\n\r\n', 502, 'upstream_protocol'],
  ['length and coding', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok', 502, 'upstream_protocol'],
  ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', 502, 'upstream_protocol'],
  ['an upgrade nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n', 502, 'upstream_protocol'],
  ['endless interim answers', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(40), 502, 'upstream_protocol'],
  ['a head that never ends', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}`, 502, 'upstream_protocol'],
];
for (const [title, answer, status, code] of failures) {
  test(`an origin that answers with ${title} is a ${status} ${code}, and the client's connection stays`, async (t) => {
    const { client, start, proxy } = await pair(t, answer);
    client.send(`${start()}\r\n`);
    await client.hears('}\n');
    t.regex(client.text, new RegExp(`HTTP/1\\.1 ${status} [^]*"code": "${code}"`));
    t.regex(client.text, /"egress_id": "egr_test"/);
    t.like(await proxy.outcome(0), { kind: 'failed', code });
    client.send(`${start()}\r\n`);
    await until('the second answer', () => count(client.text, 'HTTP/1.1 502') === 2);
  });
}

test('a bad body of an answer closes the client', async (t) => {
  const { client, start, proxy } = await pair(t, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n');
  client.send(`${start()}\r\n`);
  await client.ends();
  t.false(client.text.includes('\r\n0\r\n'));
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_protocol' });
});

test('an origin that does not listen, or closes, or keeps silent has its own code', async (t) => {
  const quiet = await startOrigin(t);
  const proxy = await startWireProxy(t, { forward: { first_byte_ms: 400 } });
  const client = await proxy.connect();
  client.send('GET http://a.test:1/ HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.hears(/HTTP\/1\.1 502 [^]*"code": "upstream_refused"/);
  client.forget();
  client.send(`GET http://a.test:${quiet.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.hears(/HTTP\/1\.1 504 [^]*"code": "upstream_timeout"/);
  await until('the end at the origin', () => quiet.peers[0]!.ended || quiet.peers[0]!.closed);
  t.like(await proxy.outcome(1), { kind: 'failed', code: 'upstream_timeout', address: '127.0.0.1' });
});

test('a permit that is stopped cuts what flows and refuses what has not begun', async (t) => {
  for (const begun of [false, true]) {
    const stop = new Stop();
    const { client, start, proxy, origin } = await pair(t, (peer) => { if (begun) peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'); }, { permit: () => ({ stop }) });
    client.send(`${start()}\r\n`);
    await until('the request', () => origin.peers[0]?.text.includes('\r\n\r\n'));
    if (begun) await client.hears('part');
    stop.stop({ code: 'run_ended', detail: 'The run was cancelled.' });
    if (begun) await client.ends();
    else await client.hears(/HTTP\/1\.1 403 [^]*"code": "run_ended",\n {2}"detail": "The run was cancelled\."/);
    await until('the end at the origin', () => origin.peers[0]!.ended || origin.peers[0]!.closed);
    t.like(await proxy.outcome(0), { kind: 'cut', code: 'run_ended' });
  }
});

test('a permit that was stopped before, or is no longer valid at the first write, sends nothing', async (t) => {
  const stop = new Stop();
  stop.stop({ code: 'run_paused', detail: 'Paused.' });
  const fields = [{ stop }, { stillValid: () => false }];
  const { client, start, proxy, origin } = await pair(t, ok, { permit: () => fields.shift() ?? {} });
  client.send(`${start()}\r\n${start()}\r\n`);
  await client.hears(/"code": "run_paused"[^]*"code": "run_ended"/);
  t.deepEqual(proxy.outcomes.map(({ kind, code, bytes_out }) => ({ kind, code, bytes_out })), [{ kind: 'cut', code: 'run_paused', bytes_out: 0 }, { kind: 'cut', code: 'run_ended', bytes_out: 0 }]);
  for (const peer of origin.peers) t.is(peer.text, '');
});

test('a permit is good for its own exchange only, and an upgrade goes no further without one that names it', async (t) => {
  const fields = [{ method: 'GET' }, { upgrade: 'websocket' }, {}];
  const { client, start, origin } = await pair(t, ok, { permit: () => fields.shift()! });
  client.send(`${start('POST')}\r\n${start()}\r\n`);
  await client.hears(/HTTP\/1\.1 500 [^]*HTTP\/1\.1 500 /);
  t.is(origin.peers.length, 0);
  client.send(`${start()}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`);
  await client.hears(/HTTP\/1\.1 200 OK[^]*\r\n\r\nok$/);
  t.notRegex(origin.peers[0]!.text, /upgrade/i);
});

test('an event stream passes piece by piece', async (t) => {
  const { client, start, origin } = await pair(t, (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'));
  client.send(`${start()}\r\n`);
  await client.hears('\r\n\r\n');
  for (let index = 0; index < 20; index++) {
    const data = `data: ${index}\n\n`;
    origin.peers[0]!.send(`${data.length.toString(16)}\r\n${data}\r\n`);
    await client.hears(`${data.length.toString(16)}\r\n${data}\r\n`);
  }
  t.pass();
});

const size = 50 * 1024 * 1024;
const allowance = 4 * 1024 * 1024;
// Serial, because they measure the memory of the whole process.

test.serial('50 MB down to a reader that stops and goes on need little memory and come whole', async (t) => {
  let written = 0;
  const { client, start, origin } = await pair(t, (peer) => {
    peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const more = (): void => {
      while (written < size) {
        written += 65_536;
        if (!peer.socket.write(Buffer.alloc(65_536, written & 0xff))) break;
      }
    };
    peer.socket.on('drain', more);
    more();
  });
  client.send(`${start()}\r\n`);
  await client.hears('\r\n\r\n');
  client.socket.pause();
  const before = heldBytes();
  // Both ends are in this process: when nothing more is written, the proxy has stopped reading.
  let last = -1;
  await until('the origin to be held up', async () => { const same = last === written; last = written; await new Promise((resolve) => { setTimeout(resolve, 100); }); return same; });
  t.true(written < size, 'the proxy took all at once');
  t.true(heldBytes() - before < allowance);
  client.socket.resume();
  await until('all bytes', () => client.bytes.length >= size, 60_000);
  t.is(client.bytes.length, client.text.indexOf('\r\n\r\n') + 4 + size);
  t.false(origin.peers[0]!.ended);
});

test.serial('50 MB up to an origin that stops and goes on need little memory and come whole', async (t) => {
  const origin = await startOrigin(t, (peer) => { peer.socket.pause(); });
  const proxy = await startWireProxy(t);
  const client = await proxy.connect();
  client.send(`POST http://a.test:${origin.port}/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
  const peer = await origin.peer(0);
  let written = 0;
  const more = (): void => {
    while (written < size) {
      written += 65_536;
      if (!client.socket.write(Buffer.alloc(65_536, 1))) break;
    }
  };
  client.socket.on('drain', more);
  const before = heldBytes();
  more();
  let last = -1;
  await until('the client to be held up', async () => { const same = last === written; last = written; await new Promise((resolve) => { setTimeout(resolve, 100); }); return same; });
  t.true(written < size);
  t.true(heldBytes() - before < allowance);
  peer.socket.resume();
  await until('all bytes', () => peer.bytes.length >= size, 60_000);
  peer.send(ok);
  await within('the answer', client.hears('ok'));
  t.like(await proxy.outcome(0), { kind: 'completed', bytes_out: peer.bytes.length });
});

test('a pooled connection is not used for a permit that does not name its address', async (t) => {
  const { client, start, origin, proxy } = await pair(t, ok, {
    permit: (exchange) => exchange.head.target.endsWith('/moved') ? { addresses: [{ address: '127.0.0.2', family: 4, address_class: 'loopback' }] } : {},
  });
  client.send(`${start()}\r\n`);
  await client.hears('ok');
  client.forget();
  // The name has another address now, and policy judged that one; nothing listens there.
  client.send(`${start('GET', '/moved')}\r\n`);
  await client.hears('502');
  t.like(await proxy.outcome(1), { kind: 'failed', code: 'upstream_refused' });
  t.is(count(origin.peers[0]!.text, 'GET '), 1);
});
