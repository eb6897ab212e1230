import { connect, type ClientHttp2Session } from 'node:http2';
import { connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';
import test from 'ava';
import { makeCertificate } from '../../../helpers/certificate.ts';
import { codes, flags, frame, get, headers, number32, preface, rawClient, settings, types } from '../../../helpers/http2-frames.ts';
import { event, within } from '../../../helpers/wait.ts';
import { answer, answerLarge, bodyOf, echoPieces, startHttp2 } from './world.ts';
import type { Handler } from '../../../../proxy/accept/connection-options.ts';

const megabyte = 1_000_000;

const handler: Handler = async (exchange) => {
  const { head } = exchange;
  if (head.target === '/large') return await answerLarge(exchange, 30 * megabyte);
  if (head.target === '/count') return answer(exchange, String((await bodyOf(exchange)).body.length));
  await echoPieces(exchange);
};

const read = (session: ClientHttp2Session, path: string, body?: Buffer): Promise<Buffer> => within(path, new Promise((resolve, reject) => {
  const pieces: Buffer[] = [];
  const stream = session.request({ ':method': body === undefined ? 'GET' : 'POST', ':path': path, ':authority': 'api.test' }, { endStream: body === undefined });
  stream.on('data', (bytes: Buffer) => { pieces.push(bytes); }).on('error', reject).on('close', () => { resolve(Buffer.concat(pieces)); });
  if (body !== undefined) stream.end(body);
}), 120_000);

test('a client that is busy never runs out of what it may cost: large bodies both ways', async (t) => {
  const certificate = await makeCertificate(t, 'DNS:api.test');
  const world = await startHttp2(t, handler, { certificate });
  const session = connect(`https://127.0.0.1:${world.port}`, { ca: certificate.cert, servername: 'api.test' });
  t.teardown(() => { session.destroy(); });
  let goaway: number | undefined;
  session.on('goaway', (code) => { goaway = code; }).on('error', () => { /* Its streams say so. */ });
  t.is((await read(session, '/large')).length, 30 * megabyte);
  t.is((await read(session, '/count', Buffer.alloc(9 * megabyte))).toString(), String(9 * megabyte));

  t.is(goaway, undefined);
});

test('small messages one way, faster than they could be answered, are read one by one and cost nothing extra', async (t) => {
  const world = await startHttp2(t, handler);
  const client = rawClient(connectPlain(world.port, '127.0.0.1'));
  client.send(preface, settings(), headers(1, [...get('/count')], false));
  const message = frame(types.data, 0, 1, Buffer.from('tiny!'));
  const batch = Buffer.concat(Array.from({ length: 2000 }, () => message));
  let seen = 0;
  let window = 65_535;
  for (let round = 0; round < 100; round++) {
    while (window < 10_000) {
      const from = seen;
      await client.next('the window to open', () => client.frames.length > from);
      for (; seen < client.frames.length; seen++) {
        const { type, stream, payload } = client.frames[seen]!;
        if (type === types.window_update && stream === 1) window += payload.readUInt32BE(0);
      }
    }
    window -= 10_000;
    client.send(batch);
  }
  client.send(frame(types.data, flags.end_stream, 1));
  const { payload } = await client.next('the count', ({ type }) => type === types.data);
  t.is(payload.toString(), '1000000');
  client.socket.destroy();
});

test('what comes about an answer is paid for by it: two PING for each word that is echoed', async (t) => {
  const world = await startHttp2(t, handler);
  const client = rawClient(connectPlain(world.port, '127.0.0.1'));
  client.send(preface, settings(), headers(1, get('/echo'), false));
  const ping = frame(types.ping, 0, 0, Buffer.alloc(8));
  const word = Buffer.concat([frame(types.data, 0, 1, Buffer.from('tiny!')), ping, ping]);
  const words = Buffer.concat(Array.from({ length: 400 }, () => word));
  let seen = 0;
  let answers = 0;
  let octets = 0;
  for (let round = 1; round <= 60; round++) {
    client.send(words, frame(types.window_update, 0, 1, number32(2000)), frame(types.window_update, 0, 0, number32(2000)));
    while (answers < round * 800 || octets < round * 2000) {
      const from = seen;
      await client.next('the echo', () => client.frames.length > from);
      for (; seen < client.frames.length; seen++) {
        const { type, flag, payload } = client.frames[seen]!;
        if (type === types.ping && flag === flags.ack) answers++;
        else if (type === types.data) octets += payload.length;
      }
    }
  }
  t.false(client.socket.destroyed);
  client.socket.destroy();
});

test('what TLS adds is not what a client costs, and a flood inside it is seen', async (t) => {
  const certificate = await makeCertificate(t, 'DNS:api.test');
  const world = await startHttp2(t, handler, { certificate });
  const socket = connectTls({ port: world.port, host: '127.0.0.1', ca: certificate.cert, servername: 'api.test', ALPNProtocols: ['h2'] });
  const client = rawClient(socket);
  await event('the handshake', socket, 'secureConnect');
  client.send(preface, settings());
  // 170 KB of frames. With a record for each they are 390 KB on the wire.
  for (let word = 500; word <= 10_000; word += 500) {
    for (let index = 0; index < 500; index++) client.send(frame(types.ping, 0, 0, Buffer.alloc(8)));
    await client.next('the answers to PING', () => client.frames.length >= word);
  }
  t.false(socket.destroyed);
  const flood = Buffer.concat(Array.from({ length: 10_000 }, () => frame(0xbe, 0, 0, Buffer.alloc(20))));
  for (let round = 0; round < 20 && !socket.destroyed; round++) client.send(flood);
  const code = await client.closed();
  t.true(code === codes.enhance_your_calm || code === undefined, String(code));
});

test('many streams whose client takes nothing hold no more than a write each, and hear that it has gone', async (t) => {
  const world = await startHttp2(t, handler);
  const before = process.memoryUsage();
  const clients = await Promise.all(Array.from({ length: 4 }, async () => {
    const client = rawClient(connectPlain(world.port, '127.0.0.1'));
    client.send(preface, settings([[4, 0]]), ...Array.from({ length: 128 }, (_none, index) => headers(2 * index + 1, get('/large'))));
    await client.next('the last head', ({ type, stream }) => type === types.headers && stream === 255);
    return client;
  }));
  const grown = process.memoryUsage();
  const bytes = grown.heapUsed - before.heapUsed + grown.arrayBuffers - before.arrayBuffers;
  t.true(bytes < 4 * 128 * 250_000, `${Math.round(bytes / 512 / 1000)} KB a stream`);
  t.log(`${Math.round(bytes / 512 / 1000)} KB a stream`);
  for (const { socket } of clients) socket.destroy();
  await within('all to be gone', Promise.all(world.exchanges.map(({ gone }) => gone.aborted || new Promise((resolve) => { gone.addEventListener('abort', resolve); }))));
  t.is(world.exchanges.length, 512);
});

test('bodies that nobody reads stay within their windows', async (t) => {
  const world = await startHttp2(t, () => new Promise(() => { /* It looks at nothing. */ }));
  const client = rawClient(connectPlain(world.port, '127.0.0.1'));
  const before = process.memoryUsage();
  client.send(preface, settings());
  const tiny = Buffer.concat(Array.from({ length: 20_000 }, () => frame(types.data, 0, 1, Buffer.from('x'))));
  client.send(headers(1, get(), false), tiny, frame(types.ping, 0, 0, Buffer.alloc(8)));
  await client.next('the answer to PING', ({ type }) => type === types.ping);
  const grown = process.memoryUsage();
  t.log(`${Math.round((grown.heapUsed - before.heapUsed) / megabyte)} MB for 20,000 frames of one octet`);
  t.true(grown.heapUsed - before.heapUsed < 60 * megabyte);
  client.send(...Array.from({ length: 5 }, () => frame(types.data, 0, 1, Buffer.alloc(16_384))), frame(types.window_update, 0, 0, number32(1)));
  t.is(await client.closed(), codes.flow_control_error);
});
