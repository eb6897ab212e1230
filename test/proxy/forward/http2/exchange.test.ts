import test from 'ava';
import { constants } from 'node:http2';
import { TestAuthority } from '../../../helpers/test-authority.ts';
import { until } from '../../../helpers/wait.ts';
import { serialiseRequest } from '../../../../proxy/wire/serialise.ts';
import { startHttp2Origin, startHttp2World, type TestExchange } from './world.ts';
import { TestBudget } from '../../wire-world.ts';

/** Node would add the date. */
const undated: object = { sendDate: false };

const headLength = (client: TestExchange, port: number): number => serialiseRequest(client.head, client.head.target, `origin.test:${port}`).length;

test('a request goes out with the fields that were judged, and its answer comes back whole', async (t) => {
  let seen: readonly string[] = [];
  const origin = await startHttp2Origin(t, (stream, fields) => {
    seen = fields;
    stream.respond([':status', '200', 'set-cookie', 'a=1', 'set-cookie', 'b=2', 'x-latin', 'caf\u00e9'], undated);
    stream.end('hello');
  });
  const { start } = startHttp2World(t);
  const { client, outcome } = start(origin.port, {
    path: '/a/../b?x=%20',
    headers: ['user-agent', 't', 'x-dup', '1', 'x-dup', '2', 'proxy-authorization', 'Basic eA==', 'te', 'trailers', 'connection', 'x-hop', 'x-hop', '1', 'authorization', 'mine', 'user-agent', 'u'],
  });
  const result = await outcome;
  t.deepEqual(seen, [
    ':method', 'GET', ':scheme', 'http', ':authority', `origin.test:${origin.port}`, ':path', '/a/../b?x=%20',
    'user-agent', 't', 'x-dup', '1', 'x-dup', '2', 'authorization', 'mine', 'user-agent', 'u', 'te', 'trailers',
  ]);
  t.like(client.answer, { status: 200, version: '2', framing: { kind: 'chunked' } });
  t.deepEqual(client.answer?.headers, ['set-cookie', 'a=1', 'set-cookie', 'b=2', 'x-latin', 'caf\u00e9']);
  t.is(client.text, 'hello');
  t.deepEqual(client.trailers, []);
  t.like(result, { kind: 'completed', status: 200, address: '127.0.0.1', http_version: '2', tls: undefined, bytes_out: headLength(client, origin.port) });
  t.is(result.bytes_in, 'HTTP/1.1 200 \r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-latin: cafe\r\n\r\nhello'.length);
  t.true(result.first_byte_ms! > 0 && result.duration_ms >= result.first_byte_ms!);
});

test('inside TLS HTTP/2 is agreed on, remembered, and one connection serves all', async (t) => {
  const authority = await TestAuthority.make(t);
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('ok');
  }, { issued: authority.issue({ names: ['DNS:origin.test'] }) });
  const { start, forwarder } = startHttp2World(t, { upstreamCa: authority.cert });
  t.is(forwarder.speaksHttp2({ run_id: 'run_test', host: 'origin.test', port: origin.port }), undefined);
  const permit = { scheme: 'https' } as const;
  const all = Array.from({ length: 20 }, () => start(origin.port, { permit }));
  for (const { outcome } of all) t.like(await outcome, { kind: 'completed', status: 200, http_version: '2', tls: { version: 'TLSv1.3' } });
  t.is(origin.sessions.length, 1);
  t.is(forwarder.speaksHttp2({ run_id: 'run_test', host: 'origin.test', port: origin.port }), true);
});

test('trailers go both ways, content flows both ways at once, and gRPC is content', async (t) => {
  let trailers: readonly string[] = [];
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('trailers', (_headers, _flags, raw: string[]) => { trailers = raw; });
    stream.on('data', (bytes: Buffer) => { stream.write(bytes); });
    stream.on('end', () => { stream.end(); });
    stream.on('wantTrailers', () => { stream.sendTrailers({ 'grpc-status': '0', 'x-t': ['1', '2'] }); });
  });
  const { start } = startHttp2World(t);
  const { client, outcome } = start(origin.port, { method: 'POST', framing: { kind: 'chunked' }, headers: ['te', 'trailers'] });
  for (let count = 1; count <= 5; count++) {
    await client.send(`message ${count}.`);
    await until(`echo ${count}`, () => client.text.endsWith(`message ${count}.`));
  }
  await client.finish(['x-up', '1', 'x-up', '2']);
  t.like(await outcome, { kind: 'completed', status: 200 });
  t.deepEqual(client.trailers, ['grpc-status', '0', 'x-t', '1', 'x-t', '2']);
  t.deepEqual(trailers, ['x-up', '1', 'x-up', '2']);
});

test('an answer that ends before the request ends it, without an error', async (t) => {
  let code = -1;
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 413 });
    stream.end('big');
    stream.on('close', () => { code = stream.rstCode; });
  });
  const { start } = startHttp2World(t);
  const { client, outcome } = start(origin.port, { method: 'POST', framing: { kind: 'length', bytes: 1_000_000 } });
  await client.send(Buffer.alloc(1000));
  t.like(await outcome, { kind: 'completed', status: 413 });
  t.is(client.text, 'big');
  t.false(client.aborted);
  await until('the reset at the origin', () => code === constants.NGHTTP2_NO_ERROR);
});

for (const [title, status, method] of [['HEAD', 200, 'HEAD'], ['204', 204, 'GET'], ['304', 304, 'GET']] as const) {
  test(`an answer to ${title} has no body`, async (t) => {
    const origin = await startHttp2Origin(t, (stream) => {
      stream.respond({ ':status': status, ...(status !== 204 && { 'content-length': '7' }) }, { endStream: true });
    });
    const { start } = startHttp2World(t);
    const { client, outcome } = start(origin.port, { method });
    t.like(await outcome, { kind: 'completed', status });
    t.deepEqual(client.answer?.framing, { kind: 'none' });
    t.deepEqual(client.trailers, []);
  });
}

test('interim answers are passed on, and 100 starts a body that waits for it', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</a>' });
    stream.additionalHeaders({ ':status': 100 });
    let text = '';
    stream.on('data', (bytes: Buffer) => { text += bytes.toString(); });
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end(text);
    });
  });
  const { start } = startHttp2World(t, { forward: { continue_ms: 60_000 } });
  const { client, outcome } = start(origin.port, { method: 'POST', framing: { kind: 'length', bytes: 5 }, expects_continue: true });
  await client.send('hello');
  await client.finish();
  t.like(await outcome, { kind: 'completed', status: 200 });
  t.deepEqual(client.interims.map(({ status, headers }) => [status, ...headers]), [[103, 'link', '</a>']]);
  t.is(client.text, 'hello');
});

test('an origin that does not answer Expect gets the body after a while', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.on('data', () => { /* Read. */ });
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end();
    });
  });
  // Node's server would answer by itself.
  origin.server.on('checkContinue', () => { /* Nothing. */ });
  const { start } = startHttp2World(t, { forward: { continue_ms: 100 } });
  const { client, outcome } = start(origin.port, { method: 'POST', framing: { kind: 'length', bytes: 5 }, expects_continue: true });
  t.is(client.sink, undefined);
  await client.send('hello');
  await client.finish();
  t.like(await outcome, { kind: 'completed', status: 200 });
});

test('bytes_out cuts an upload to the byte', async (t) => {
  let received = 0;
  let code = -1;
  const origin = await startHttp2Origin(t, (stream) => {
    stream.on('data', (bytes: Buffer) => { received += bytes.length; });
    stream.on('close', () => { code = stream.rstCode; });
  });
  const { start } = startHttp2World(t);
  const probe = start(origin.port, { method: 'POST', framing: { kind: 'chunked' } });
  const head = headLength(probe.client, origin.port);
  probe.client.leave();
  const budget = new TestBudget({ bytes_out: head + 1234 });
  const { client, outcome } = start(origin.port, { method: 'POST', framing: { kind: 'chunked' }, permit: { spending: budget } });
  await client.send(Buffer.alloc(1000));
  await client.send(Buffer.alloc(1000));
  t.like(await outcome, { kind: 'cut', code: 'budget_exhausted', meter: 'bytes_out', bytes_out: head + 1234 });
  await until('the reset', () => code === constants.NGHTTP2_CANCEL);
  t.is(received, 1234);
  t.like(client.refusal, { code: 'budget_exhausted' });
});

test('a head that the budget does not cover is not sent, and costs nothing', async (t) => {
  const origin = await startHttp2Origin(t, () => { t.fail('A stream.'); });
  const { start } = startHttp2World(t);
  const budget = new TestBudget({ bytes_out: 10 });
  const { client, outcome } = start(origin.port, { permit: { spending: budget } });
  t.like(await outcome, { kind: 'cut', code: 'budget_exhausted', meter: 'bytes_out', bytes_out: 0 });
  t.like(client.refusal, { code: 'budget_exhausted' });
});

test('bytes_in cuts an answer to the byte, and waits where there may be more', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond([':status', '200'], undated);
    stream.end(Buffer.alloc(10_000));
  });
  const head = 'HTTP/1.1 200 \r\n\r\n'.length;
  const { start } = startHttp2World(t);
  const cut = start(origin.port, { permit: { spending: new TestBudget({ bytes_in: head + 1234 }) } });
  t.like(await cut.outcome, { kind: 'cut', code: 'budget_exhausted', meter: 'bytes_in', bytes_in: head + 1234 });
  t.is(cut.client.received, 1234);
  t.true(cut.client.aborted);

  const budget = new TestBudget({ bytes_in: head - 1 }, true);
  const waits = start(origin.port, { permit: { spending: budget } });
  await until('the question for more', () => budget.asked.length > 0);
  t.is(waits.client.answer, undefined);
  budget.grant('bytes_in', 1001);
  await until('a part', () => waits.client.received === 1000);
  budget.grant('bytes_in', 9000);
  t.like(await waits.outcome, { kind: 'completed', bytes_in: head + 10_000 });
  t.is(waits.client.received, 10_000);
});

test('a head that Node does not take ends that request, and those behind it go on', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end();
  });
  const { start } = startHttp2World(t);
  // accept/ lets none such through.
  const wrong = start(origin.port, { headers: ['no name', '1'] });
  const right = [start(origin.port), start(origin.port)];
  t.like(await wrong.outcome, { kind: 'failed', code: 'internal', bytes_out: 0 });
  t.like(wrong.client.refusal, { code: 'internal' });
  for (const { outcome } of right) t.like(await outcome, { kind: 'completed' });
});

test('trailers of a request that HTTP/2 has no place for are left out, and what Node does not take ends that request alone', async (t) => {
  const came: unknown[] = [];
  const origin = await startHttp2Origin(t, (stream) => {
    stream.on('trailers', (_headers, _flags, raw: string[]) => { came.push([...raw]); });
    stream.resume();
    stream.on('end', () => {
      // One that was reset ends as well.
      if (stream.destroyed || stream.closed) return;
      stream.respond({ ':status': 200 });
      stream.end();
    });
  });
  const { start } = startHttp2World(t);
  const post = { method: 'POST', framing: { kind: 'chunked' } } as const;
  const odd = start(origin.port, post);
  await odd.client.send('body');
  await odd.client.finish(['http2-settings', 'AAAA', 'x-sum', '1']);
  t.like(await odd.outcome, { kind: 'completed' });
  t.deepEqual(came, [['x-sum', '1']]);

  const [wrong, right] = [start(origin.port, post), start(origin.port)];
  await wrong.client.send('body');
  // accept/ lets none such through.
  await wrong.client.finish(['no name', '1']);
  t.like(await wrong.outcome, { kind: 'failed', code: 'internal' });
  t.like(await right.outcome, { kind: 'completed' });
});
