import { connect, constants } from 'node:http2';
import test from 'ava';
import { catalogueRefusal } from '../../../../proxy/refusal.ts';
import type { Handler } from '../../../../proxy/accept/connection-options.ts';
import { codes, flags, frame, get, headBlock, headers, hpackInteger, literal, number32, rawConnect, reset, settings, types, type RawClient } from '../../../helpers/http2-frames.ts';
import { event, within } from '../../../helpers/wait.ts';
import { answer, startHttp2 } from './world.ts';

/** Streams that may end without their answer: at once, and while a loaded machine takes its time. */
const wasteBurst = 256;
const wastePerSecond = 64;
const megabyte = 1_000_000;

const many = (count: number, make: (index: number) => Buffer): Buffer => Buffer.concat(Array.from({ length: count }, (_none, index) => make(index)));
const odd = (index: number): number => 2 * index + 1;

/** Sends up to `times` of these as fast as they are taken, until the other side has enough. */
async function flood({ socket }: RawClient, times: number, make: (round: number) => Buffer): Promise<void> {
  for (let round = 0; round < times && !socket.destroyed; round++) {
    if (socket.write(make(round))) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        socket.off('drain', go).off('close', go);
        resolve();
      };
      socket.on('drain', go).on('close', go);
    });
  }
}

const perRound = 100;
const streams = (make: (stream: number) => Buffer) => (client: RawClient): Promise<void> => flood(client, 200, (round) => many(perRound, (index) => make(odd(round * perRound + index))));
const frames = (make: () => Buffer) => (client: RawClient): Promise<void> => {
  const bytes = many(1000, make);
  return flood(client, 2000, () => bytes);
};
const openHead = frame(types.headers, flags.end_stream, 1, headBlock(get()));
const upload = headers(1, get(), false);

/**
 * Told by nghttp2 or Node as INTERNAL_ERROR where they have their own bound; a GOAWAY may also get lost in the reset that closing with
 * unread bytes makes.
 */
const closing: ReadonlySet<number | undefined> = new Set([undefined, codes.no_error, codes.protocol_error, codes.internal_error, codes.flow_control_error, codes.stream_closed, codes.enhance_your_calm]);

interface Abuse {
  readonly title: string;
  readonly run: (client: RawClient) => Promise<void>;
  /** Exchanges that it may make beyond what `wastePerSecond` gives. */
  readonly handled: number;
  /** The very code of what is refused at its first frame. */
  readonly code?: number;
  /** The code of what floods, unless it gets lost. */
  readonly calm?: true;
}

const abuses: readonly Abuse[] = [
  { title: 'rapid reset (CVE-2023-44487)', handled: wasteBurst, calm: true, run: streams((stream) => Buffer.concat([headers(stream, get()), reset(stream)])) },
  { title: 'reset by a window update of 0 (CVE-2025-8671)', handled: wasteBurst, run: streams((stream) => Buffer.concat([headers(stream, get(), false), frame(types.window_update, 0, stream, number32(0))])) },
  { title: 'reset by a window that overflows (CVE-2025-8671)', handled: wasteBurst, run: streams((stream) => Buffer.concat([headers(stream, get(), false), frame(types.window_update, 0, stream, number32(2 ** 31 - 1))])) },
  { title: 'reset by DATA behind the end (CVE-2025-8671)', handled: wasteBurst, run: streams((stream) => Buffer.concat([headers(stream, get()), frame(types.data, 0, stream, Buffer.from('x'))])) },
  { title: 'reset by a head behind the end (CVE-2025-8671)', handled: wasteBurst, run: streams((stream) => Buffer.concat([headers(stream, get()), headers(stream, [['x', 'y']])])) },
  { title: 'reset by a wrong length (CVE-2025-8671)', handled: wasteBurst, run: streams((stream) => Buffer.concat([headers(stream, [...get(), ['content-length', '5']], false), frame(types.data, flags.end_stream, stream, Buffer.from('x'))])) },
  { title: 'streams that depend on themselves', handled: wasteBurst, run: streams((stream) => Buffer.concat([headers(stream, get(), false), frame(types.priority, 0, stream, Buffer.concat([number32(stream), Buffer.from([1])]))])) },
  { title: 'heads that nghttp2 refuses', handled: 0, run: streams((stream) => headers(stream, [...get(), ['connection', 'close']])) },
  { title: 'requests without waiting for any answer', handled: wasteBurst, run: streams((stream) => headers(stream, get())) },
  { title: 'CONTINUATION without end (CVE-2024-27316)', handled: 0, run: (client) => { client.send(openHead); return frames(() => frame(types.continuation, 0, 1, literal('x', 'y')))(client); } },
  { title: 'empty CONTINUATION without end', handled: 0, run: (client) => { client.send(openHead); return frames(() => frame(types.continuation, 0, 1))(client); } },
  { title: 'SETTINGS (CVE-2019-9515)', handled: 0, run: frames(() => settings([[4, 65_535]])) },
  { title: 'one SETTINGS of 100 entries', handled: 0, code: codes.enhance_your_calm, run: async (client) => { client.send(settings(Array.from({ length: 100 }, () => [4, 65_535]))); } },
  { title: 'header tables resized again and again', handled: 0, run: frames(() => settings([[1, 0], [1, 65_536]])) },
  { title: 'PING (CVE-2019-9512)', handled: 0, run: frames(() => frame(types.ping, 0, 0, Buffer.alloc(8))) },
  { title: 'answers to no PING', handled: 0, run: frames(() => frame(types.ping, flags.ack, 0, Buffer.alloc(8))) },
  { title: 'empty DATA (CVE-2019-9518)', handled: 1, run: (client) => { client.send(upload); return frames(() => frame(types.data, 0, 1))(client); } },
  { title: 'DATA of nothing but padding', handled: 1, run: (client) => { client.send(upload); return frames(() => frame(types.data, flags.padded, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)])))(client); } },
  { title: 'PRIORITY (CVE-2019-9513)', handled: 0, calm: true, run: frames(() => frame(types.priority, 0, 3, Buffer.concat([number32(1), Buffer.from([1])]))) },
  { title: 'frames of an unknown type', handled: 0, calm: true, run: frames(() => frame(0xbe, 0, 0, Buffer.alloc(8))) },
  { title: 'window updates of 1', handled: 0, calm: true, run: frames(() => frame(types.window_update, 0, 0, number32(1))) },
  { title: 'a connection window that overflows', handled: 0, code: codes.flow_control_error, run: async (client) => { client.send(frame(types.window_update, 0, 0, number32(2 ** 31 - 1))); } },
  { title: 'DATA on a closed stream', handled: 1, run: async (client) => {
    client.send(headers(1, get('/answer')));
    await client.next('the answer', ({ stream, flag }) => stream === 1 && (flag & flags.end_stream) !== 0);
    await frames(() => frame(types.data, 0, 1, Buffer.alloc(100)))(client);
  } },
  { title: 'DATA on a stream that nobody opened', handled: 0, code: codes.protocol_error, run: async (client) => { client.send(frame(types.data, 0, 1, Buffer.from('x'))); } },
  { title: 'an even stream', handled: 0, code: codes.protocol_error, run: async (client) => { client.send(headers(2, get())); } },
  { title: 'a push', handled: 0, code: codes.protocol_error, run: async (client) => { client.send(frame(types.push_promise, flags.end_headers, 1, Buffer.concat([number32(2), headBlock(get())]))); } },
  { title: 'a frame that is too large', handled: 0, code: codes.frame_size_error, run: async (client) => { client.send(frame(0xbe, 0, 0, Buffer.alloc(20_000))); } },
  { title: 'a header table larger than allowed', handled: 0, code: codes.compression_error, run: async (client) => { client.send(frame(types.headers, flags.end_headers | flags.end_stream, 1, Buffer.concat([hpackInteger(100_000, 5, 0x20), headBlock(get())]))); } },
  { title: 'GOAWAY', handled: 0, run: frames(() => frame(types.goaway, 0, 0, Buffer.alloc(8))) },
];

/** `/answer` is answered, and all else waits until the client is gone. */
const patient: Handler = (exchange) => {
  if (exchange.head.target === '/answer') {
    answer(exchange, 'here');
    return Promise.resolve();
  }
  exchange.transfer.readBody({ data: () => true, end: () => { /* It waits on. */ }, fail: () => { /* It does not. */ } });
  return new Promise((resolve) => { exchange.gone.addEventListener('abort', () => { resolve(); }); });
};

for (const { title, run, handled, code, calm } of abuses) {
  test.serial(`abuse ends the connection, makes little work and harms no other: ${title}`, async (t) => {
    const world = await startHttp2(t, patient);
    const other = connect(`http://127.0.0.1:${world.port}`);
    t.teardown(() => { other.destroy(); });
    await event('the other client', other, 'remoteSettings');
    const before = process.memoryUsage();
    const began = performance.now();
    const client = rawConnect(world.port);
    t.teardown(() => { client.socket.destroy(); });
    await Promise.all([run(client), client.closed()]);
    const ended = await client.closed();
    if (code !== undefined) t.is(ended, code);
    else if (calm) t.true(ended === codes.enhance_your_calm || ended === undefined, String(ended));
    else t.true(closing.has(ended), String(ended));
    const seconds = (performance.now() - began) / 1000;
    t.true(world.exchanges.length <= handled + seconds * wastePerSecond + 1, `${world.exchanges.length} exchanges in ${seconds} s`);
    await within('all to be gone', Promise.all(world.exchanges.filter(({ head }) => head.target === '/').map(({ gone }) => gone.aborted || event('gone', gone as never, 'abort').catch(() => undefined))));
    const grown = process.memoryUsage();
    t.true(grown.heapUsed - before.heapUsed + grown.external - before.external < 100 * megabyte, `${Math.round((grown.heapUsed - before.heapUsed) / megabyte)} MB`);
    const stream = other.request({ ':path': '/answer', ':authority': 'api.test' });
    const [head] = await event('the answer to another', stream, 'response');
    t.is((head as Record<string, unknown>)[':status'], 200);
    stream.close();
  });
}

const rejected: readonly (readonly [string, Buffer, number])[] = [
  ['a field bomb (CVE-2016-6581, many references to one large entry)', frame(types.headers, flags.end_headers | flags.end_stream, 1, Buffer.concat([headBlock(get()), literal('x-bomb', 'z'.repeat(3900), true), Buffer.alloc(10_000, 0x80 | 62)])), codes.enhance_your_calm],
  ['300 fields', headers(1, [...get(), ...Array.from({ length: 300 }, (_none, index) => [`x${index}`, 'y'] as const)]), codes.enhance_your_calm],
  ['upper case', headers(1, [...get(), ['X-Upper', '1']]), codes.protocol_error],
  ['two lengths', headers(1, [...get(), ['content-length', '1'], ['content-length', '1']], false), codes.protocol_error],
  ['a pseudo-field behind others', headers(1, [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], ['x', 'y'], [':authority', 'a.test']]), codes.protocol_error],
  ['extended CONNECT', headers(1, [[':method', 'CONNECT'], [':protocol', 'websocket'], [':scheme', 'http'], [':path', '/'], [':authority', 'a.test:1']], false), codes.protocol_error],
  ['transfer-encoding', headers(1, [...get(), ['transfer-encoding', 'chunked']], false), codes.protocol_error],
  ['te of more than trailers', headers(1, [...get(), ['te', 'gzip']]), codes.protocol_error],
];
test('a head that is too much or malformed resets its stream, and no handler sees it', async (t) => {
  const world = await startHttp2(t, patient);
  for (const [title, bytes, code] of rejected) {
    const client = rawConnect(world.port);
    client.send(bytes);
    const { payload } = await client.next(title, ({ type }) => type === types.rst_stream);
    t.is(payload.readUInt32BE(0), code, title);
    client.send(headers(3, get('/answer')));
    await client.next(`an answer behind ${title}`, ({ type, stream }) => type === types.headers && stream === 3);
    client.socket.destroy();
  }
  t.is(world.exchanges.length, rejected.length);
});

test('a head of more than 64 KiB in CONTINUATION is refused without a handler', async (t) => {
  const world = await startHttp2(t, patient);
  const client = rawConnect(world.port);
  const block = Buffer.concat([headBlock(get()), ...Array.from({ length: 9 }, (_none, index) => literal(`x-${index}`, 'z'.repeat(10_000)))]);
  for (let at = 0; at < block.length; at += 16_000) {
    client.send(frame(at === 0 ? types.headers : types.continuation, (at === 0 ? flags.end_stream : 0) | (at + 16_000 >= block.length ? flags.end_headers : 0), 1, block.subarray(at, at + 16_000)));
  }
  await client.next('a refusal', ({ stream }) => stream === 1);
  t.is(world.exchanges.length, 0);
  client.socket.destroy();
});

test('fields that no HTTP/1 could carry are left out by Node before anything is judged, and nothing else with them', async (t) => {
  const world = await startHttp2(t, patient);
  const client = rawConnect(world.port);
  client.send(headers(1, [...get('/answer'), ['x-cr', 'a\r\nb: c'], ['x-nul', 'a\0b'], ['x-space', ' a '], ['', 'x'], ['x-good', '1']]));
  await client.next('the answer', ({ type }) => type === types.headers);
  t.deepEqual(world.exchanges[0]!.head.headers, ['host', 'api.test', 'x-good', '1']);
  client.socket.destroy();
});

test('a stream behind a later one is not looked at', async (t) => {
  const world = await startHttp2(t, patient);
  const client = rawConnect(world.port);
  client.send(headers(5, get('/answer')));
  await client.next('the answer', ({ stream, flag }) => stream === 5 && (flag & flags.end_stream) !== 0);
  client.send(headers(3, get('/answer')), headers(7, get('/answer')));
  await client.next('the answer', ({ stream, flag }) => stream === 7 && (flag & flags.end_stream) !== 0);
  t.is(world.exchanges.length, 2);
  client.socket.destroy();
});

test('more streams than allowed are refused while the client may not know, and end the connection once it does', async (t) => {
  const world = await startHttp2(t, patient);
  const early = rawConnect(world.port);
  early.send(many(200, (index) => headers(odd(index), get())));
  const { payload } = await early.next('a refused stream', ({ type }) => type === types.rst_stream);
  t.is(payload.readUInt32BE(0), codes.refused_stream);
  t.is(world.exchanges.length, 128);
  early.socket.destroy();

  const late = rawConnect(world.port);
  await late.next('SETTINGS', ({ type }) => type === types.settings);
  late.send(frame(types.settings, flags.ack, 0), frame(types.ping, 0, 0, Buffer.alloc(8)));
  await late.next('the answer to PING', ({ type }) => type === types.ping);
  late.send(many(200, (index) => headers(odd(index), get())));
  t.is(await late.closed(), codes.protocol_error);
});

test('refusals that nobody reads hold the client up, not the memory', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    exchange.refuse(catalogueRefusal('policy_denied', 'No.'));
    return Promise.resolve();
  });
  const before = process.memoryUsage();
  const client = rawConnect(world.port);
  client.socket.pause();
  void flood(client, 300, (round) => many(100, (index) => headers(odd(round * 100 + index), get())));
  const other = connect(`http://127.0.0.1:${world.port}`);
  t.teardown(() => { other.destroy(); client.socket.destroy(); });
  for (let round = 0; round < 50; round++) {
    const stream = other.request({ ':path': '/', ':authority': 'api.test' });
    const [head] = await event('the answer to another', stream.resume(), 'response');
    t.is((head as Record<string, unknown>)[':status'], constants.HTTP_STATUS_FORBIDDEN);
  }
  const grown = process.memoryUsage();
  t.true(world.exchanges.length < 1000, String(world.exchanges.length));
  t.true(grown.heapUsed - before.heapUsed + grown.external - before.external < 100 * megabyte);
});

test('who goes on in spite of rate_limited, all at once, is refused a few times and then left; other refusals cost nothing', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    exchange.refuse(catalogueRefusal(exchange.head.target === '/often' ? 'rate_limited' : 'policy_denied', 'No.'));
    return Promise.resolve();
  });
  const patient = rawConnect(world.port);
  t.teardown(() => { patient.socket.destroy(); });
  patient.send(many(100, (index) => headers(odd(index), get())));
  await patient.next('the end of the last refusal', ({ stream, flag }) => stream === odd(99) && (flag & flags.end_stream) !== 0);
  t.is(world.exchanges.length, 100);

  const client = rawConnect(world.port);
  t.teardown(() => { client.socket.destroy(); });
  client.send(many(100, (index) => headers(odd(index), get('/often'))));
  const ended = await client.closed();
  t.true(ended === codes.enhance_your_calm || ended === undefined, String(ended));
  const pressed = world.exchanges.length - 100;
  // Of what may be wasted each takes 16; a loaded machine takes its time.
  t.true(pressed >= wasteBurst / 16 && pressed < 40, String(pressed));
});
