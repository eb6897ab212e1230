import { connect } from 'node:net';
import { request } from 'node:http';
import { once } from 'node:events';
import { needs } from './needs.ts';
import { startOrigin } from './origin.ts';
import { event, until } from './wait.ts';
import { addresses } from './world.ts';

const test = needs('world');

test('the origin keeps the very bytes beside the parsed requests', async (t) => {
  const origin = await startOrigin(t);
  const socket = connect(origin.port, origin.address);
  t.teardown(() => socket.destroy());
  const sent = 'POST /a?b HTTP/1.1\r\nHost: x\r\nX-Odd:  value \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nEnd: yes\r\n\r\n'
    + 'GET /second HTTP/1.1\r\nHost: x\r\n\r\n';
  socket.write(sent);
  const second = await origin.request('the second request', ({ target }) => target === '/second');
  const first = origin.requests[0]!;
  t.is(first.method, 'POST');
  t.is(first.body().toString(), 'abc');
  t.deepEqual({ ...first.trailers() }, { end: 'yes' });
  t.true(first.complete);
  t.is(second.connection, first.connection);
  t.is(second.connection.bytes().toString(), sent);
  t.is(second.connection.bytesIn, sent.length);
  await until('both answers', () => origin.connections[0]!.bytesOut > 200);
});

test('a body that breaks off is not complete', async (t) => {
  const origin = await startOrigin(t, { respond: () => { /* Never answers. */ } });
  const socket = connect(origin.port, origin.address);
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
  const seen = await origin.request('the request');
  await until('the part of the body', () => seen.body().length === 3);
  socket.destroy();
  await until('the end of the connection', () => origin.connections[0]!.closed);
  t.false(seen.complete);
});

test('the answer is the one that the test gives', async (t) => {
  const origin = await startOrigin(t, {
    address: addresses.private10, port: 8103, respond: (_request, response) => response.writeHead(418).end(),
  });
  const outgoing = request({ host: origin.address, port: origin.port, agent: false });
  outgoing.end();
  const [response] = await once(outgoing, 'response') as [{ statusCode: number; resume(): void }];
  response.resume();
  t.is(response.statusCode, 418);
});

test('a connection can be taken over before any HTTP', async (t) => {
  const origin = await startOrigin(t, { connection: (socket) => socket.write('220 hello\r\n') });
  const socket = connect(origin.port, origin.address);
  t.teardown(() => socket.destroy());
  t.is((await event('the greeting', socket, 'data')).join(''), '220 hello\r\n');
  socket.write('raw \0 bytes');
  await until('the bytes', () => origin.connections[0]!.bytes().toString() === 'raw \0 bytes');
  t.is(origin.requests.length, 0);
});
