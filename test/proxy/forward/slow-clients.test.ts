/** Clients that hold a connection by sending little: what counts is content, not bytes. */
import test from 'ava';
import { catalogueRefusal } from '../../../proxy/refusal.ts';
import { onHeads, startOrigin, startWireProxy, type Peer } from '../wire-world.ts';

function drip(peer: Peer, text: string, t: { teardown(fn: () => void): void }): void {
  const timer = setInterval(() => { if (!peer.socket.destroyed) peer.send(text); }, 30);
  t.teardown(() => clearInterval(timer));
}

for (const [what, begins, drips] of [
  ['stalls', '5\r\nhello\r\n', ''],
  ['drips an extension', '5\r\nhello\r\n5;a', 'b'],
  ['drips zeros of a size', '5\r\nhello\r\n0', '0'],
  ['drips trailers', '5\r\nhello\r\n0\r\n', 'X: y\r\n'],
] as const) {
  test(`an upload in chunks that ${what} ends by the time-out of a silent one, and its origin with it`, async (t) => {
    const origin = await startOrigin(t);
    const proxy = await startWireProxy(t, { forward: { idle_ms: 600 } });
    const client = await proxy.connect();
    client.send(`POST http://a.test:${origin.port}/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n${begins}`);
    const peer = await origin.peer(0);
    await peer.hears('5\r\nhello\r\n');
    drip(client, drips, t);
    await client.ends();
    await peer.ends();
    t.notRegex(peer.text, /\r\n0\r\n/);
    t.is((await proxy.outcome(0)).kind, 'failed');
  });
}

test('the rest of a refused body is waited for only as long as for a head', async (t) => {
  const proxy = await startWireProxy(t, { accept: { head_ms: 600 }, handler: (exchange) => Promise.resolve(exchange.refuse(catalogueRefusal('policy_denied', 'No.'))) });
  const client = await proxy.connect();
  client.send('POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nx');
  await client.hears(/^HTTP\/1\.1 403 /);
  drip(client, 'x', t);
  await client.ends();
  t.pass();
});

test('an answer is not held up by a client that never sends the rest of its upload', async (t) => {
  const origin = await startOrigin(t, (peer) => onHeads(peer, () => peer.send('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno')));
  const proxy = await startWireProxy(t);
  const client = await proxy.connect();
  client.send(`POST http://a.test:${origin.port}/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nx`);
  t.is(await client.ends(), 'HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
});
