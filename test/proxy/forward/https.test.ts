/** Exchanges with origins in TLS: what plain HTTP can do, they can. Who is taken for an origin is in secure.test.ts. */
import type { TlsOptions, TLSSocket } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { upgradeOf } from '../../../proxy/describe/upgrade.ts';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { ok, securePair, secureProxy, type SecurePair } from '../../helpers/secure-pair.ts';
import { TestAuthority, type Issued } from '../../helpers/test-authority.ts';
import { startUpstreamProxy } from '../../helpers/upstream-proxy.ts';
import { until } from '../../helpers/wait.ts';
import { frame, handshakeFields, switching } from '../../helpers/web-socket.ts';
import { heldBytes, startOrigin, startWireProxy, TestBudget, type Peer, type WireProxyOptions } from '../wire-world.ts';
import { talkAsWebSocket } from './web-socket-talk.ts';

const file = fileLifetime();
let authority: TestAuthority;
let good: Issued;
test.before(async () => {
  authority = await TestAuthority.make(file);
  good = authority.issue({ names: ['DNS:origin.test'] });
});

const pair = (t: ExecutionContext, answer: Parameters<typeof securePair>[2] = ok, options: WireProxyOptions = {}, tls: TlsOptions = {}): Promise<SecurePair> =>
  securePair(t, { ...good, ...tls }, answer, { upstreamCa: authority.cert, ...options });
const count = (text: string, part: string): number => text.split(part).length - 1;
const gone = (peer: Peer | undefined): boolean => peer !== undefined && (peer.ended || peer.closed);

for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
  test(`requests share a connection, and what comes beside answers on an idle one is no answer: ${maxVersion}`, async (t) => {
    const { client, start, proxy, origin } = await pair(t, ok, {}, { maxVersion });
    for (let index = 0; index < 3; index++) {
      client.send(`${start('GET', `/${index}`)}\r\n`);
      await until(`answer ${index}`, () => count(client.text, ok) === index + 1);
    }
    t.is(origin.peers.length, 1);
    t.is(origin.peers[0]!.text, [0, 1, 2].map((index) => `GET /${index} HTTP/1.1\r\nHost: origin.test:${origin.port}\r\n\r\n`).join(''));
    t.like(await proxy.outcome(2), { kind: 'completed', bytes_in: ok.length, http_version: '1.1', tls: { version: maxVersion, resumed: false } });
  });

  test(`a session is resumed within a run, and never by another or for another host: ${maxVersion}`, async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok';
    const keys = ['one', 'one', 'other', 'one'];
    const { client, start, proxy, origin } = await pair(t, answer, { permit: ({ head: { target } }) => ({ pool_key: keys[Number(target.slice(-1))]! }) }, { maxVersion });
    for (const index of keys.keys()) {
      client.send(`${start('GET', `/${index}`)}\r\n`);
      await until(`answer ${index}`, () => count(client.text, '\r\n\r\nok') === index + 1);
      t.is((origin.peers[index]!.socket as TLSSocket).isSessionReused(), [false, true, false, true][index]!, `connection ${index}`);
      t.like(await proxy.outcome(index), { kind: 'completed', tls: { version: maxVersion, resumed: [false, true, false, true][index]! } });
    }
    t.is(origin.peers.length, 4);
  });
}

test('a session of a connection that was refused is not kept, and the certificate is looked at again', async (t) => {
  const strange = await TestAuthority.make(t);
  const { client, start, origin } = await securePair(t, { ...strange.issue({ names: ['DNS:origin.test'] }) }, ok, { upstreamCa: authority.cert });
  for (let index = 1; index <= 3; index++) {
    client.send(`${start()}\r\n`);
    await until(`refusal ${index}`, () => count(client.text, '"code": "upstream_tls"') === index);
  }
  t.true(origin.peers.every(({ text, socket }) => text === '' && !(socket as TLSSocket).isSessionReused()));
});

test('an idle connection that the origin closes, by its notice or without, is not mistaken for one that answers', async (t) => {
  for (const way of ['end', 'destroy'] as const) {
    const { client, start, proxy, origin } = await pair(t, ok);
    client.send(`${start()}\r\n`);
    await client.hears('\r\n\r\nok');
    const { socket } = origin.peers[0]!;
    socket[way]();
    await until('the end of the connection', () => gone(origin.peers[0]));
    client.send(`${start('POST')}Content-Length: 2\r\n\r\nhi`);
    // It may have been taken before the proxy heard of the end; then it is told, since a POST is not sent twice.
    await until('the second answer', () => count(client.text, '\r\n\r\nok') === 2 || client.text.includes('"code": "upstream_reset"'));
    t.is(proxy.outcomes.length, 2);
  }
});

test('what an origin says on an idle connection closes it and reaches nobody', async (t) => {
  const { client, start, origin } = await pair(t, (peer, _head, index) => peer.send(index === 0 ? ok : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh'));
  client.send(`${start()}\r\n`);
  await client.hears('\r\n\r\nok');
  origin.peers[0]!.send('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned');
  await until('the end of the connection', () => gone(origin.peers[0]));
  client.send(`${start()}\r\n`);
  await until('the second answer', () => client.text.endsWith('ok') && count(client.text, ok) === 2);
  t.false(client.text.includes('poisoned'));
  t.is(origin.peers.length, 2);
});

test('a GET on a stale connection is tried once more, and the try is paid for', async (t) => {
  let tries = 0;
  const { client, start, origin, proxy } = await pair(t, (peer, _head, index) => { if (index === 0) peer.send(ok); else peer.socket.destroy(); },
    { permit: () => ({ anotherTry: () => { tries++; return Promise.resolve(true); } }) });
  client.send(`${start()}\r\n`);
  await client.hears('ok');
  client.send(`${start('GET', '/again')}\r\n`);
  await until('the second answer', () => count(client.text, ok) === 2);
  t.is(tries, 1);
  t.is(origin.peers.length, 2);
  t.like(await proxy.outcome(1), { kind: 'completed', tls: { resumed: true } });
});

test('an event stream passes piece by piece, and a client that goes ends it', async (t) => {
  const { client, start, origin, proxy } = await pair(t, 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
  client.send(`${start()}\r\n`);
  await client.hears('\r\n\r\n');
  for (let index = 0; index < 20; index++) {
    const data = `data: ${index}\n\n`;
    origin.peers[0]!.send(`${data.length.toString(16)}\r\n${data}\r\n`);
    await client.hears(`${data.length.toString(16)}\r\n${data}\r\n`);
  }
  client.socket.destroy();
  await until('the end at the origin', () => gone(origin.peers[0]));
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'client_gone', status: 200, tls: { version: 'TLSv1.3' } });
});

test('a body that ends with the connection is whole where the origin says that it ends', async (t) => {
  const { client, start } = await pair(t, (peer) => { peer.send('HTTP/1.1 200 OK\r\n\r\nhello'); peer.socket.end(); });
  client.send(`${start()}\r\n`);
  await client.hears(/5\r\nhello\r\n0\r\n\r\n$/);
  t.pass();
});

test('an origin that dies in the middle of its answer closes the client', async (t) => {
  const { client, start, proxy } = await pair(t, (peer) => { peer.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart', () => { peer.socket.destroy(); }); });
  client.send(`${start()}\r\n`);
  await client.ends();
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_reset' });
});

test('a WebSocket is a tunnel in TLS, counted to the byte, and each side closes by itself', async (t) => {
  const heads: string[] = [];
  const { client, start, proxy, origin } = await pair(t, (peer, head) => {
    heads.push(head);
    peer.send(`${switching}${frame('early', false).toString('latin1')}`);
  }, { permit: ({ head }) => ({ upgrade: head.upgrade === undefined ? undefined : upgradeOf(head) }) });
  client.send(`${start('GET', '/chat')}${handshakeFields.join('\r\n')}\r\n\r\n`);
  await client.hears('early');
  await talkAsWebSocket(client, origin.peers[0]!, heads[0]!.length);
  t.like(await proxy.outcome(0), { kind: 'completed', status: 101, bytes_out: heads[0]!.length + 11, bytes_in: switching.length + 18, http_version: '1.1', tls: { version: 'TLSv1.3', resumed: false } });
});

test('a WebSocket in TLS is cut at its budget, to the byte', async (t) => {
  const spending = new TestBudget({ bytes_in: switching.length + 10 });
  const { client, start, proxy } = await pair(t, (peer) => peer.send(`${switching}0123456789more`),
    { permit: ({ head }) => ({ upgrade: head.upgrade === undefined ? undefined : upgradeOf(head), spending }) });
  client.send(`${start('GET', '/chat')}${handshakeFields.join('\r\n')}\r\n\r\n`);
  t.true((await client.ends()).endsWith('\r\n\r\n0123456789'));
  t.like(await proxy.outcome(0), { kind: 'cut', code: 'budget_exhausted', bytes_in: switching.length + 10 });
});

test('TLS goes through an upstream proxy, which is asked for the address and sees nothing', async (t) => {
  const { origin } = await pair(t);
  const upstream = await startUpstreamProxy(t, { origin: origin.port });
  const via = { name: 'proxy.corp.test:3128', addresses: ['127.0.0.1'], port: upstream.port, resolves: false, authorization: undefined };
  const proxy = await startWireProxy(t, { upstreamCa: authority.cert, permit: () => ({ scheme: 'https', addresses: [{ address: '127.0.0.1', family: 4, address_class: 'loopback', via }] }) });
  const client = await proxy.connect();
  client.send(`GET http://a.test:${origin.port}/ HTTP/1.1\r\nHost: a.test\r\n\r\n`);
  await client.hears('\r\n\r\nok');
  t.deepEqual(upstream.asked, [`CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`]);
  t.like(await proxy.outcome(0), { kind: 'completed', address: '127.0.0.1', tls: { version: 'TLSv1.3' } });
});

test('an upstream proxy that speaks on behind its answer is not the origin', async (t) => {
  const upstream = await startUpstreamProxy(t, { early: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' });
  const via = { name: 'proxy.corp.test:3128', addresses: ['127.0.0.1'], port: upstream.port, resolves: false, authorization: undefined };
  const proxy = await startWireProxy(t, { upstreamCa: authority.cert, permit: () => ({ scheme: 'https', addresses: [{ address: '127.0.0.1', family: 4, address_class: 'loopback', via }] }) });
  const client = await proxy.connect();
  client.send('GET http://a.test:1/ HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await client.hears(/"code": "upstream_tls"[^]*\}\n$/);
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_tls', bytes_out: 0 });
});

const size = 20 * 1024 * 1024;
const allowance = 4 * 1024 * 1024;

/** Writes all of it, as far as the other side takes it. */
function pour(peer: Peer, written: { bytes: number }): void {
  const more = (): void => {
    while (written.bytes < size) {
      written.bytes += 65_536;
      if (!peer.socket.write(Buffer.alloc(65_536, written.bytes >> 16 & 0xff))) break;
    }
  };
  peer.socket.on('drain', more);
  more();
}

/** Both ends are in this process: when nothing more is written, the proxy has stopped reading. */
async function heldUp(written: { readonly bytes: number }): Promise<void> {
  let last = -1;
  await until('the writer to be held up', async () => {
    const same = last === written.bytes;
    last = written.bytes;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    return same;
  });
}

function isWhole(body: Buffer): boolean {
  for (let at = 0; at < body.length; at += 65_536) if (body[at] !== (at / 65_536 + 1 & 0xff) || body[at + 65_535] !== body[at]) return false;
  return body.length === size;
}

// Serial, because they measure the memory of the whole process.
test.serial('20 MB down to a reader that stops and goes on need little memory and come whole', async (t) => {
  const written = { bytes: 0 };
  const { client, start, proxy } = await pair(t, (peer) => { peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`); pour(peer, written); });
  client.send(`${start()}\r\n`);
  await client.hears('\r\n\r\n');
  client.socket.pause();
  const before = heldBytes();
  await heldUp(written);
  t.true(written.bytes < size, 'the proxy took all at once');
  t.true(heldBytes() - before < allowance, String(heldBytes() - before));
  client.socket.resume();
  await until('the outcome', () => proxy.outcomes.length === 1, 60_000);
  await until('all bytes', () => client.bytes.length >= size, 60_000);
  t.true(isWhole(client.bytes.subarray(client.text.indexOf('\r\n\r\n') + 4)));
  t.like(await proxy.outcome(0), { kind: 'completed' });
});

test.serial('20 MB up to an origin that stops and goes on need little memory and come whole', async (t) => {
  const written = { bytes: 0 };
  const origin = await startOrigin(t, (peer) => { peer.socket.once('data', () => { peer.socket.pause(); }); }, { tls: good });
  const { client, start, proxy } = await secureProxy(t, origin, { upstreamCa: authority.cert });
  client.send(`${start('POST')}Content-Length: ${size}\r\n\r\n`);
  const peer = await origin.peer(0);
  await peer.hears('\r\n\r\n');
  const before = heldBytes();
  pour(client, written);
  await heldUp(written);
  t.true(written.bytes < size, 'the proxy took all at once');
  t.true(heldBytes() - before < allowance, String(heldBytes() - before));
  peer.socket.resume();
  await until('all bytes', () => peer.bytes.length >= size, 60_000);
  await until('the rest', () => peer.bytes.length - peer.text.indexOf('\r\n\r\n') - 4 === size);
  t.true(isWhole(peer.bytes.subarray(peer.text.indexOf('\r\n\r\n') + 4)));
  peer.send(ok);
  await client.hears('ok');
  t.like(await proxy.outcome(0), { kind: 'completed', bytes_out: peer.bytes.length });
});
