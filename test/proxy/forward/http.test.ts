import test from 'ava';
import { until } from '../../helpers/wait.ts';
import { onHeads, startOrigin, startWireProxy } from '../wire-world.ts';

test('a request reaches the origin in origin form, with our hop only, and its answer comes back', async (t) => {
  const origin = await startOrigin(t, (peer) => onHeads(peer, () => peer.send('HTTP/1.1 200 Fine Thanks\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-CaSe: 1\r\nConnection: x-r\r\nX-R: 1\r\nContent-Length: 2\r\n\r\nok')));
  const proxy = await startWireProxy(t);
  const client = await proxy.connect();
  client.send(`GET http://a.test:${origin.port}/a/../b?x=%20 HTTP/1.1\r\nHost: a.test\r\nX-Dup: 1\r\nUser-Agent: t\r\nX-dup: 2\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nAuthorization: mine\r\n\r\n`);
  await client.hears('ok');
  t.is(client.text, 'HTTP/1.1 200 Fine Thanks\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-CaSe: 1\r\nContent-Length: 2\r\n\r\nok');
  t.is(origin.peers[0]!.text, `GET /a/../b?x=%20 HTTP/1.1\r\nHost: origin.test:${origin.port}\r\nX-Dup: 1\r\nUser-Agent: t\r\nX-dup: 2\r\nAuthorization: mine\r\n\r\n`);
  const outcome = await proxy.outcome(0);
  t.like(outcome, { kind: 'completed', status: 200, address: '127.0.0.1', bytes_out: origin.peers[0]!.bytes.length, code: undefined });
  t.is(outcome.bytes_in, Buffer.byteLength('HTTP/1.1 200 Fine Thanks\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-CaSe: 1\r\nConnection: x-r\r\nX-R: 1\r\nContent-Length: 2\r\n\r\nok'));
  await until('nothing', () => true);
});
