import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { acceptInside } from '../../../proxy/accept/inside.ts';
import { upgradeOf } from '../../../proxy/describe/upgrade.ts';
import { Stop } from '../../../proxy/enforce/stop.ts';
import { until } from '../../helpers/wait.ts';
import { echo, frame, handshakeFields, readFrames, switching } from '../../helpers/web-socket.ts';
import { onHeads, permitFor, startOrigin, startWireProxy, TestBudget, type Origin, type Peer, type PermitFields, type WireProxy } from '../wire-world.ts';
import { talkAsWebSocket } from './web-socket-talk.ts';

type Answer = string | Buffer | ((peer: Peer, head: string) => void);

interface Asked {
  readonly client: Peer;
  readonly origin: Origin;
  readonly proxy: WireProxy;
  readonly heads: readonly string[];
}

const asked = (port: number, fields: readonly string[] = handshakeFields, scheme: string = 'http'): string => `GET ${scheme}://a.test:${port}/chat?x HTTP/1.1\r\nHost: a.test:${port}\r\n${fields.join('\r\n')}\r\n\r\n`;

/** One handshake, with what comes right behind it, at an origin that answers so. */
async function ask(t: ExecutionContext, answer: Answer, permit: Partial<PermitFields> = {}, behind: string | Buffer = '', fields?: readonly string[]): Promise<Asked> {
  const heads: string[] = [];
  const origin = await startOrigin(t, (peer) => {
    let first = true;
    onHeads(peer, (head) => {
      if (!first) return;
      first = false;
      heads.push(head);
      if (typeof answer === 'function') answer(peer, head);
      else peer.send(answer);
    });
  });
  const proxy = await startWireProxy(t, { permit: (exchange) => ({ upgrade: exchange.head.upgrade === undefined ? undefined : upgradeOf(exchange.head), ...permit }) });
  const client = await proxy.connect();
  client.send(Buffer.concat([Buffer.from(asked(origin.port, fields)), Buffer.from(behind)]));
  return { client, origin, proxy, heads };
}

/** The tunnel that such a handshake became. */
async function switched(t: ExecutionContext, permit: Partial<PermitFields> = {}): Promise<Asked & { readonly peer: Peer }> {
  const all = await ask(t, switching, permit);
  await all.client.hears('\r\n\r\n');
  const peer = await all.origin.peer(0);
  all.client.forget();
  peer.forget();
  return { ...all, peer };
}

test('a handshake is passed on written by us, its 101 as well, and then bytes go both ways and count', async (t) => {
  const fields = ['connection: keep-alive, UPGRADE', 'upgrade: h2c, WebSocket', 'TE: trailers', 'Proxy-Authorization: Basic eA==', ...handshakeFields.slice(2), 'Sec-WebSocket-Protocol: chat'];
  const { client, origin, proxy, heads } = await ask(t, `${switching.slice(0, -2)}Keep-Alive: x\r\nContent-Length: 0\r\nX-Kept: yes\r\n\r\n`, {}, '', fields);
  await client.hears('\r\n\r\n');
  t.is(client.text, `HTTP/1.1 101 Switching Protocols\r\n${switching.split('\r\n')[3]}\r\nX-Kept: yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  t.is(heads[0], `GET /chat?x HTTP/1.1\r\nHost: origin.test:${origin.port}\r\n${handshakeFields.slice(2).join('\r\n')}\r\nSec-WebSocket-Protocol: chat\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  await talkAsWebSocket(client, await origin.peer(0), heads[0]!.length);
  t.like(await proxy.outcome(0), { kind: 'completed', status: 101, bytes_out: heads[0]!.length + 11, bytes_in: `${switching}Keep-Alive: x\r\nContent-Length: 0\r\nX-Kept: yes\r\n`.length + 11 });
  t.is(proxy.outcomes[0]!.response_headers.includes('X-Kept'), true);
});

test('each direction of it is closed by itself, also by the origin first', async (t) => {
  const { client, peer, proxy } = await switched(t);
  peer.send('last');
  peer.socket.end();
  await client.ends();
  t.is(client.text, 'last');
  client.send('more');
  await peer.hears('more');
  client.socket.end();
  await peer.ends();
  t.like(await proxy.outcome(0), { kind: 'completed', status: 101 });
});

test('bytes that come with the 101, or with the handshake, are not lost', async (t) => {
  const { client, origin } = await ask(t, (peer) => { peer.send(`${switching}welcome`); }, {}, 'impatient');
  await client.hears('welcome');
  const peer = await origin.peer(0);
  await peer.hears(/\r\n\r\nimpatient$/);
  t.regex(client.text, /\r\n\r\nwelcome$/);
});

test('a web socket is asked for by its own scheme as well', async (t) => {
  const origin = await startOrigin(t, (peer) => onHeads(peer, (head) => { peer.send(head.startsWith('GET /chat?x HTTP/1.1\r\n') ? switching : 'HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n'); }));
  const proxy = await startWireProxy(t, { permit: (exchange) => ({ upgrade: upgradeOf(exchange.head), target: '/chat?x', port: origin.port }) });
  const client = await proxy.connect();
  client.send(asked(origin.port, handshakeFields, 'ws'));
  await client.hears('HTTP/1.1 101 ');
  for (const [scheme, fields, code] of [['ws', ['X: y'], 'bad_request'], ['wss', handshakeFields, 'not_supported'], ['ws', ['Connection: Upgrade', 'Upgrade: other'], 'bad_request']] as const) {
    const other = await proxy.connect();
    other.send(asked(origin.port, fields, scheme));
    await other.hears(`"code": "${code}"`);
  }
  t.is(proxy.exchanges.length, 1);
});

test('a web socket inside a CONNECT is one', async (t) => {
  const server = createServer().on('upgrade', echo);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => { server.close(); server.closeAllConnections(); });
  const { port } = server.address() as { readonly port: number };
  const proxy: WireProxy = await startWireProxy(t, {
    handler: (exchange, forward) => {
      acceptInside(exchange.openTunnel(), {
        source: exchange.source, form: { kind: 'inside', authority: exchange.head.target, caller: undefined, tls: undefined }, host: 'a.test', tls: undefined, limits: proxy.limits, sweep: proxy.sweep,
        onOther: () => { /* Nothing else comes. */ },
      }, async (within) => { await forward(permitFor(within, { upgrade: upgradeOf(within.head), port }), within); });
      return Promise.resolve();
    },
  });
  const client = await proxy.connect();
  client.send(`CONNECT a.test:${port} HTTP/1.1\r\nHost: a.test:${port}\r\n\r\n`);
  await client.hears('\r\n\r\n');
  client.forget();
  client.send(`GET /chat HTTP/1.1\r\nHost: a.test:${port}\r\n${handshakeFields.join('\r\n')}\r\n\r\n`);
  await client.hears('\r\n\r\n');
  t.true(client.text.startsWith('HTTP/1.1 101 '));
  client.forget();
  for (const text of ['one', 'x'.repeat(1000), 'three']) {
    client.send(frame(text, true));
    await until('the echo', () => readFrames(client.bytes).frames.length === 1);
    t.is(String(readFrames(client.bytes).frames[0]!.payload), text);
    client.forget();
  }
  client.send(frame('', true, 8));
  await client.ends();
  client.socket.end();
  t.like(await proxy.outcome(0), { kind: 'completed', status: 101 });
});

test('any other answer is an answer, and ends the connection: nothing behind the handshake is read as a request', async (t) => {
  const smuggled = 'GET http://a.test/smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n';
  for (const answer of ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno', 'HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno']) {
    const { client, origin, proxy } = await ask(t, answer, {}, smuggled);
    client.send(smuggled);
    const text = await client.ends();
    t.regex(text, /^HTTP\/1\.1 (200|426) /);
    t.true(text.includes('Connection: close'));
    t.true(text.endsWith('no'));
    t.is(text.match(/HTTP\/1\.1/g)?.length, 1);
    t.is(proxy.exchanges.length, 1);
    t.false((await origin.peer(0)).text.includes('smuggled'));
    t.like(await proxy.outcome(0), { kind: 'completed' });
  }
});

test('nothing behind the handshake goes out before the origin has switched, nor after it refused', async (t) => {
  let peer: Peer | undefined;
  const { client } = await ask(t, (one) => { peer = one; }, {}, 'impatient');
  await until('the handshake', () => peer !== undefined);
  client.send(' and more');
  await new Promise((resolve) => { setTimeout(resolve, 200); });
  t.false(peer!.text.includes('impatient'));
  peer!.send(switching);
  await peer!.hears('impatient and more');
});

const wrong: readonly (readonly [string, string])[] = [
  ['another protocol', switching.replace('Upgrade: websocket', 'Upgrade: other/1')],
  ['no protocol', switching.replace('Upgrade: websocket\r\n', '')],
  ['two protocols', switching.replace('Upgrade: websocket', 'Upgrade: websocket, other/1')],
  ['a protocol that Connection does not name', switching.replace('Connection: Upgrade', 'Connection: keep-alive')],
  ['HTTP/1.0', switching.replace('HTTP/1.1', 'HTTP/1.0')],
  ['a body', `${switching.slice(0, -2)}Content-Length: 5\r\n\r\nhello`],
];
for (const [title, answer] of wrong) {
  test(`a 101 with ${title} is refused as upstream_protocol`, async (t) => {
    const { client, origin, proxy } = await ask(t, answer, {}, 'behind');
    await client.hears('"code": "upstream_protocol"');
    t.regex(await client.ends(), /^HTTP\/1\.1 502 /);
    await (await origin.peer(0)).ends();
    t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_protocol' });
  });
}

test('a 101 that nobody asked for is refused as upstream_protocol, also where only h2c was offered', async (t) => {
  for (const fields of [['X: y'], ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']]) {
    const { client, heads } = await ask(t, switching.replace('Upgrade: websocket', 'Upgrade: h2c'), {}, '', fields);
    await client.hears('"code": "upstream_protocol"');
    t.regex(client.text, /^HTTP\/1\.1 502 /);
    t.notRegex(heads[0]!, /upgrade|h2c|http2/i);
  }
});

test('an origin that has switched is never used again', async (t) => {
  const { client, peer, origin, proxy } = await switched(t);
  client.socket.end();
  peer.socket.end();
  t.like(await proxy.outcome(0), { kind: 'completed' });
  const next = await proxy.connect();
  next.send(`GET http://a.test:${origin.port}/ HTTP/1.1\r\nHost: a.test:${origin.port}\r\n\r\n`);
  await origin.peer(1);
  t.pass();
});

test('a stop closes both sides at once', async (t) => {
  const stop = new Stop();
  const { client, peer, proxy } = await switched(t, { stop });
  const began = performance.now();
  stop.stop({ code: 'run_ended', detail: 'Cancelled.' });
  await client.ends();
  await peer.ends();
  t.true(performance.now() - began < 500);
  t.like(await proxy.outcome(0), { kind: 'cut', code: 'run_ended', status: 101 });
});

test('it is cut to the byte in each direction, the heads included', async (t) => {
  const rows = [['bytes_in', switching.length], ['bytes_out', undefined]] as const;
  for (const [meter, fixed] of rows) {
    // How long the head is that goes out is known once one has.
    const probe = fixed === undefined ? (await ask(t, switching)) : undefined;
    if (probe !== undefined) await probe.client.hears('\r\n\r\n');
    const budget = new TestBudget({ [meter]: (fixed ?? probe!.heads[0]!.length) + 1000 });
    const { client, peer, proxy } = await switched(t, { spending: budget });
    const [from, to] = meter === 'bytes_in' ? [peer, client] : [client, peer];
    const data = randomBytes(5000);
    from.send(data.subarray(0, 600));
    await until('the first bytes', () => to.bytes.length === 600);
    from.send(data.subarray(600));
    await to.ends();
    t.deepEqual(to.bytes, data.subarray(0, 1000));
    t.like(await proxy.outcome(0), { kind: 'cut', code: 'budget_exhausted', meter, [meter]: (fixed ?? probe!.heads[0]!.length) + 1000, status: 101 });
  }
});

test('what came with the 101 waits for its budget, and no further bytes are read meanwhile', async (t) => {
  const budget = new TestBudget({ bytes_in: switching.length + 3 }, true);
  const { client } = await ask(t, `${switching}0123456789`, { spending: budget });
  await client.hears('\r\n\r\n012');
  await until('the question', () => budget.asked.length > 0);
  budget.grant('bytes_in', 100);
  await client.hears('\r\n\r\n0123456789');
  t.pass();
});

test('a reader that stops holds the other side up, in both directions', async (t) => {
  for (const direction of ['down', 'up'] as const) {
    const { client, peer } = await switched(t);
    const [from, to] = direction === 'down' ? [peer, client] : [client, peer];
    to.socket.pause();
    const data = randomBytes(1024 * 1024);
    let sent = 0;
    while (from.socket.write(data) || from.socket.writableLength < 8 * 1024 * 1024) {
      sent += data.length;
      await new Promise((resolve) => { setImmediate(resolve); });
      if (sent > 256 * 1024 * 1024) break;
    }
    t.true(sent < 256 * 1024 * 1024);
    const total = sent + data.length;
    to.socket.resume();
    await until('all bytes', () => to.bytes.length === total, 60_000);
    t.true(to.bytes.subarray(-data.length).equals(data));
  }
});

const offers: readonly (readonly [string, Parameters<typeof upgradeOf>[0], string])[] = [
  ['no offer', { method: 'GET', upgrade: undefined, framing: { kind: 'none' } }, 'undefined'],
  ['a web socket', { method: 'GET', upgrade: 'websocket', framing: { kind: 'none' } }, 'websocket'],
  ['a web socket among others', { method: 'GET', upgrade: 'h2c, other, websocket', framing: { kind: 'length', bytes: 0 } }, 'websocket'],
  ['another', { method: 'POST', upgrade: 'spdy/3.1', framing: { kind: 'none' } }, 'spdy/3.1'],
  ['another and h2c', { method: 'POST', upgrade: 'h2c, spdy/3.1', framing: { kind: 'none' } }, 'spdy/3.1'],
  ['two others', { method: 'GET', upgrade: 'a, b', framing: { kind: 'none' } }, 'not_supported'],
  ['no token', { method: 'GET', upgrade: 'a b', framing: { kind: 'none' } }, 'bad_request'],
  ['a web socket by POST', { method: 'POST', upgrade: 'websocket', framing: { kind: 'none' } }, 'bad_request'],
  ['a web socket with a body', { method: 'GET', upgrade: 'websocket', framing: { kind: 'length', bytes: 1 } }, 'bad_request'],
  ['another with a body', { method: 'POST', upgrade: 'tcp', framing: { kind: 'chunked' } }, 'bad_request'],
];
for (const [title, head, expected] of offers) {
  test(`of ${title} is made: ${expected}`, (t) => {
    let made: string;
    try {
      made = String(upgradeOf(head));
    } catch (error) {
      made = (error as { readonly code: string }).code;
    }
    t.is(made, expected);
  });
}
