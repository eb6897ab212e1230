import test from 'ava';
import * as fc from 'fast-check';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { localApi, readEvents, remoteApi, type StreamEvent } from '../../cli/api-client.ts';
import { SallyportError, toProblem } from '../../contracts/errors.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

async function serve(lifetime: Lifetime, handler: (request: IncomingMessage, response: ServerResponse) => void, where: string | number): Promise<number> {
  const server = createServer(handler);
  if (typeof where === 'string') server.listen(where);
  else server.listen(where, '127.0.0.1');
  await once(server, 'listening');
  lifetime.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return typeof where === 'string' ? 0 : (server.address() as AddressInfo).port;
}

test('a call sends JSON and gives JSON, with the idempotency key', async (t) => {
  const socket = join(await temporaryFolder(t), 's');
  await serve(t, (request, response) => {
    const { method, url, headers } = request;
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => { body += chunk; });
    request.on('end', () => response.end(JSON.stringify({ method, url, key: headers['idempotency-key'], authorization: headers.authorization ?? null, body })));
  }, socket);
  t.deepEqual(await localApi(socket).call('POST', '/x?y=1', { body: { a: 1 }, idempotencyKey: 'k' }), { method: 'POST', url: '/x?y=1', key: 'k', authorization: null, body: '{"a":1}' });
});

test('a control plane elsewhere gets the key as a bearer token, below its path', async (t) => {
  const port = await serve(t, (request, response) => response.end(JSON.stringify([request.url, request.headers.authorization])), 0);
  t.deepEqual(await remoteApi({ url: new URL(`http://127.0.0.1:${port}/base/`), key: 'sp_op_x' }).call('GET', '/healthz'), ['/base/healthz', 'Bearer sp_op_x']);
});

test('a problem comes back as the error that it was', async (t) => {
  const socket = join(await temporaryFolder(t), 's');
  const thrown = new SallyportError('illegal_transition', 'It is Done.', { legal: ['Cancelled'] });
  await serve(t, (request, response) => {
    if (request.url === '/problem') response.writeHead(409, { 'content-type': 'application/problem+json' }).end(JSON.stringify(toProblem(thrown)));
    else if (request.url === '/unknown') response.writeHead(500).end('{"code":"from_the_future","detail":"something new"}');
    else if (request.url === '/html') response.writeHead(502).end('<html>');
    else response.end('not json');
  }, socket);
  const api = localApi(socket);
  const problem = await t.throwsAsync(api.call('GET', '/problem'), { instanceOf: SallyportError });
  t.like(problem, { code: 'illegal_transition', message: 'It is Done.', extras: { legal: ['Cancelled'] } });
  t.like(await t.throwsAsync(api.call('GET', '/unknown'), { instanceOf: SallyportError }), { code: 'internal', message: 'something new' });
  t.like(await t.throwsAsync(api.call('GET', '/html'), { instanceOf: SallyportError }), { code: 'internal', message: 'The control plane answered with status 502.' });
  t.like(await t.throwsAsync(api.call('GET', '/else'), { instanceOf: SallyportError }), { code: 'internal' });
});

test('nobody there, and somebody who says nothing, are control_plane_unreachable', async (t) => {
  const folder = await temporaryFolder(t);
  t.regex((await t.throwsAsync(localApi(join(folder, 'none')).call('GET', '/'), { instanceOf: SallyportError }))?.message ?? '', /nothing listens there/);
  const silent = join(folder, 's');
  await serve(t, () => { /* Says nothing. */ }, silent);
  const error = await t.throwsAsync(localApi(silent).call('GET', '/', { timeoutMs: 20 }), { instanceOf: SallyportError });
  t.is(error?.code, 'control_plane_unreachable');
  t.regex(error?.message ?? '', /no answer in time/);
});

const event = fc.record({ event: fc.stringMatching(/^[a-z]{1,8}$/), data: fc.jsonValue() });
const encode = (events: readonly StreamEvent[]): Buffer => Buffer.from(events.map(({ event: name, data }) => `: alive\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join(''));

async function* pieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length].sort((a, b) => a - b);
  for (let index = 1; index < places.length; index++) yield bytes.subarray(places[index - 1], places[index]);
}

test('events are the same wherever the stream is cut into pieces', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(event, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 8 }), async (events, cuts) => {
    const read: StreamEvent[] = [];
    for await (const one of readEvents(pieces(encode(events), cuts))) read.push(one);
    t.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(events)));
  }));
});

test('a line without end is not kept for ever', async (t) => {
  async function* endless(): AsyncGenerator<Buffer> {
    yield Buffer.from('data: ');
    for (;;) yield Buffer.alloc(1024 * 1024, 'x');
  }
  await t.throwsAsync(readEvents(endless()).next(), { instanceOf: SallyportError, message: /line of more than/ });
});
