import { connect } from 'node:net';
import test from 'ava';
import { catalogueRefusal } from '../../../../proxy/refusal.ts';
import { codes, flags, frame, get, headBlock, headers, number32, preface, rawClient, rawConnect, settings, types, type RawClient } from '../../../helpers/http2-frames.ts';
import { fastClock } from '../../../helpers/fast-clock.ts';
import { until } from '../../../helpers/wait.ts';
import { answer, answerHead, startHttp2 } from './world.ts';

const clock = fastClock(20);
/** Milliseconds of that clock. */
const limits = { head_ms: 4_000, idle_ms: 600_000, linger_ms: 20_000, stop_idle_ms: 1_000 };
const answering = { clock, limits };

const greet = (port: number, ...bytes: readonly Buffer[]): RawClient => rawConnect(port, bytes);

const slow: readonly (readonly [string, readonly Buffer[]])[] = [
  ['nothing', []], ['half a preface', [preface.subarray(0, 10)]], ['a preface without SETTINGS', [preface]],
  ['half of SETTINGS', [preface, settings([[4, 1]]).subarray(0, 12)]],
  ['a head without its end', [preface, settings(), frame(types.headers, flags.end_stream, 1, headBlock(get()))]],
  ['half a frame of a head', [preface, settings(), headers(1, get()).subarray(0, 20)]],
];
for (const [title, bytes] of slow) {
  test(`a client that sends ${title} is closed when the time for a head is over, long before an idle one`, async (t) => {
    const world = await startHttp2(t, () => Promise.resolve(), answering);
    const began = performance.now();
    await greet(world.port, ...bytes).closed();
    const took = (performance.now() - began) * 20;
    t.true(took >= limits.head_ms - 500, String(took));
    t.true(took < limits.idle_ms / 2, String(took));
    t.is(world.exchanges.length, 0);
  });
}

test('an idle client is told GOAWAY after the time between two requests', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    answer(exchange, 'x');
    return Promise.resolve();
  }, { clock, limits: { ...limits, idle_ms: 10_000 } });
  const client = rawConnect(world.port);
  const began = performance.now();
  client.send(headers(1, get()));
  await client.next('the answer', ({ type }) => type === types.data);
  t.is(await client.closed(), codes.no_error);
  t.true((performance.now() - began) * 20 > 8_000);
});

test('a stream that is under way keeps its connection from being idle', async (t) => {
  const world = await startHttp2(t, (exchange) => new Promise((resolve) => {
    clock.setTimeout(() => {
      answer(exchange, 'late');
      resolve();
    }, 20_000);
  }), { clock, limits: { ...limits, idle_ms: 5_000 } });
  const client = rawConnect(world.port);
  client.send(headers(1, get()));
  await client.next('the answer', ({ type }) => type === types.data);
  t.pass();
});

test('a refusal or an answer that the client takes no window for is reset in time', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    if (exchange.head.target === '/refuse') exchange.refuse(catalogueRefusal('policy_denied', 'No.'));
    else answer(exchange, 'x'.repeat(1000));
    return Promise.resolve();
  }, { clock, limits: { ...limits, idle_ms: 60_000 } });
  const client = rawConnect(world.port, [preface, settings([[4, 0]])]);
  client.send(headers(1, get('/refuse')), headers(3, get()));
  const first = await client.next('the reset of the refusal', ({ type, stream }) => type === types.rst_stream && stream === 1);
  t.is(first.payload.readUInt32BE(0), codes.cancel);
  t.false(client.frames.some(({ type, stream }) => type === types.rst_stream && stream === 3));
  const second = await client.next('the reset of the answer', ({ type, stream }) => type === types.rst_stream && stream === 3);
  t.is(second.payload.readUInt32BE(0), codes.cancel);
  t.is(await client.closed(), codes.no_error);
});

test('an upload that goes on behind its answer is reset in time', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    answer(exchange, 'enough');
    return Promise.resolve();
  }, answering);
  const client = rawConnect(world.port);
  client.send(headers(1, get(), false));
  await client.next('the end of the answer', ({ type, flag }) => type === types.data && (flag & flags.end_stream) !== 0);
  const { payload } = await client.next('the reset', ({ type }) => type === types.rst_stream);
  t.is(payload.readUInt32BE(0), codes.no_error);
});

test('a body that is given up behind its answer does not take its connection with it', async (t) => {
  const world = await startHttp2(t, async (exchange) => {
    if (exchange.head.framing.kind === 'length') await until('the body', () => (exchange as unknown as { readonly arrived: number }).arrived >= 60_000);
    answer(exchange, 'enough');
  }, answering);
  const client = rawConnect(world.port);
  client.send(headers(1, [...get(), ['content-length', '200000']], false), ...Array.from({ length: 4 }, () => frame(types.data, 0, 1, Buffer.alloc(15_000))));
  const { payload } = await client.next('the reset', ({ type }) => type === types.rst_stream);
  t.is(payload.readUInt32BE(0), codes.no_error);
  await new Promise<void>((resolve) => { clock.setTimeout(resolve, limits.linger_ms * 2); });
  client.send(headers(3, get()));
  await client.next('another answer', ({ type, stream }) => type === types.data && stream === 3);
  client.socket.destroy();
});

for (const [title, streams, octets] of [['one large answer', 1, 12_800_000], ['many answers', 128, 100_000]] as const) {
  test(`a client that asks for ${title} and reads nothing at all is closed when its time is over`, async (t) => {
    const world = await startHttp2(t, (exchange) => {
      answer(exchange, Buffer.alloc(octets));
      return Promise.resolve();
    }, { clock, limits: { ...limits, idle_ms: 10_000 } });
    const client = rawConnect(world.port, [preface, settings([[4, 2 ** 31 - 1]]), frame(types.window_update, 0, 0, number32(2 ** 30))]);
    client.socket.pause();
    client.send(...Array.from({ length: streams }, (_none, index) => headers(2 * index + 1, get())));
    await until('the connection to be closed here', () => world.sockets[0]?.destroyed);
    client.socket.destroy();
    t.is(world.exchanges.length, streams);
  });
}

test('a client that floods and reads nothing is closed as well', async (t) => {
  const world = await startHttp2(t, () => Promise.resolve(), answering);
  const client = rawConnect(world.port);
  client.socket.pause();
  const pings = Buffer.concat(Array.from({ length: 900 }, () => frame(types.ping, 0, 0, Buffer.alloc(8))));
  const flood = (): void => {
    while (!client.socket.destroyed && client.socket.write(pings));
  };
  client.socket.on('drain', flood);
  flood();
  await until('the connection to be closed here', () => world.sockets[0]?.destroyed);
  client.socket.destroy();
  t.pass();
});

test('a client that asks for heads alone and reads none of them is closed as well', async (t) => {
  const world = await startHttp2(t, ({ transfer }) => {
    transfer.begin(answerHead(204, ['x-large', 'y'.repeat(50_000)], { kind: 'none' }));
    transfer.end([]);
    return Promise.resolve();
  }, { clock, limits: { ...limits, idle_ms: 10_000 } });
  const client = rawConnect(world.port);
  client.socket.pause();
  for (let round = 0; round < 5; round++) client.send(...Array.from({ length: 100 }, (_none, index) => headers(2 * (round * 100 + index) + 1, get())));
  await until('the connection to be closed here', () => world.sockets[0]?.destroyed);
  client.socket.destroy();
  t.true(world.exchanges.length >= 100);
});

test('a window that opens by one octet at a time is too much ado', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    answer(exchange, Buffer.alloc(500_000));
    return Promise.resolve();
  });
  const client = rawConnect(world.port, [preface, settings([[4, 1]])]);
  client.send(headers(1, get()));
  const one = Buffer.concat([frame(types.window_update, 0, 1, number32(1)), frame(types.window_update, 0, 0, number32(1))]);
  let seen = 0;
  client.socket.on('data', () => {
    for (; seen < client.frames.length; seen++) if (client.frames[seen]!.type === types.data) client.send(one);
  });
  const code = await client.closed();
  t.true(code === codes.enhance_your_calm || code === undefined, String(code));
  t.true(seen < 200_000, String(seen));
});

test('what is no preface is closed', async (t) => {
  const world = await startHttp2(t, () => Promise.resolve());
  const client = rawClient(connect(world.port, '127.0.0.1'));
  client.send(Buffer.from('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'));
  await client.closed();
  t.is(world.exchanges.length, 0);
});

test('who is told to stop before its first request has a moment for it', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    answer(exchange, 'x');
    return Promise.resolve();
  }, { clock, limits: { ...limits, stop_idle_ms: 40_000 } });
  const client = rawConnect(world.port);
  await client.next('SETTINGS', ({ type }) => type === types.settings);
  world.stop();
  client.send(headers(1, get()));
  await client.next('the answer', ({ type, stream }) => type === types.data && stream === 1);
  t.is(await client.closed(), codes.no_error);
  t.is(client.frames.findLast(({ type }) => type === types.goaway)!.payload.readUInt32BE(0), 1);
});

test('GOAWAY keeps its distance from an answer, which Java would drop', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    world.stop();
    answer(exchange, 'x');
    return Promise.resolve();
  }, { clock, limits: { ...limits, stop_idle_ms: 40_000 } });
  const client = rawConnect(world.port);
  client.send(headers(1, get()));
  await client.next('the answer', ({ type, stream }) => type === types.data && stream === 1);
  const answered = performance.now();
  t.is(await client.closed(), codes.no_error);
  t.true(performance.now() - answered >= 200, 'GOAWAY came with the answer');
});

test('a request that crosses GOAWAY is not looked at, and the client can tell', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    answer(exchange, 'x');
    return Promise.resolve();
  }, answering);
  const client = rawConnect(world.port);
  client.send(headers(1, get()));
  await client.next('the answer', ({ type, stream }) => type === types.data && stream === 1);
  world.stop();
  await client.next('GOAWAY', ({ type }) => type === types.goaway);
  client.send(headers(3, get()));
  t.is(await client.closed(), codes.no_error);
  t.is(client.frames.findLast(({ type }) => type === types.goaway)!.payload.readUInt32BE(0), 1);
  t.is(world.exchanges.length, 1);
});
