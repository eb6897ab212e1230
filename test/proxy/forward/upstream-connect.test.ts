import { connect, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../contracts/clock.ts';
import type { PermittedAddress } from '../../../proxy/enforce/permit.ts';
import type { Via } from '../../../proxy/enforce/upstream-proxies.ts';
import { dial, type Dialling } from '../../../proxy/forward/dial.ts';
import { forwardLimits } from '../../../proxy/forward/limits.ts';
import { startLocalOrigin, startLocalServer } from '../../helpers/proxy-worker.ts';
import { startUpstreamProxy } from '../../helpers/upstream-proxy.ts';
import { until } from '../../helpers/wait.ts';

interface Side { readonly address: string; readonly socket: Socket; read: (bytes: Buffer) => void }

function dialBy(t: ExecutionContext, port: number, address: string = '20.30.40.50', change: Partial<Via> = {}, limits = forwardLimits): Dialling<Side> {
  const via: Via = { name: 'proxy.corp.test:3128', addresses: ['127.0.0.1'], port, resolves: false, authorization: undefined, ...change };
  const permitted: PermittedAddress = { address, family: address.includes(':') ? 6 : 4, address_class: via.resolves ? 'delegated' : 'public', via };
  const dialling = dial({ host: 'site.test', port: 443, addresses: [permitted] }, (of, to): Side => {
    const side: Side = { address: of, socket: connect(to), read: () => { /* Nobody is there yet. */ } };
    side.socket.on('data', (bytes: Buffer) => { side.read(bytes); });
    t.teardown(() => side.socket.destroy());
    return side;
  }, systemClock, limits);
  t.teardown(dialling.cancel);
  return dialling;
}

const established = 'HTTP/1.1 200 OK\r\n\r\n';

test('the proxy is asked for the very address that was judged, and the connection is then one to it', async (t) => {
  const origin = await startLocalOrigin(t);
  const proxy = await startUpstreamProxy(t, { origin: origin.port });
  const side = await dialBy(t, proxy.port, '20.30.40.50', { authorization: 'Basic dTpw' }).connected;
  t.is(side.address, '20.30.40.50');
  t.deepEqual(proxy.asked, ['CONNECT 20.30.40.50:443 HTTP/1.1\r\nHost: 20.30.40.50:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n']);
  let text = '';
  side.read = (bytes) => { text += bytes.toString(); };
  side.socket.write('GET / HTTP/1.1\r\nHost: site.test\r\n\r\n');
  await until('the answer', () => text.endsWith('hello\n') || undefined);
});

test('an IPv6 address is bracketed, and a name is given only where the proxy resolves', async (t) => {
  const proxy = await startUpstreamProxy(t);
  await dialBy(t, proxy.port, '2620:1::1').connected;
  await dialBy(t, proxy.port, 'site.test', { resolves: true }).connected;
  t.deepEqual(proxy.asked.map((head) => head.split('\r\n')[0]), ['CONNECT [2620:1::1]:443 HTTP/1.1', 'CONNECT site.test:443 HTTP/1.1']);
  await t.throwsAsync(dialBy(t, proxy.port, 'site.test').connected, { code: 'internal' });
  await t.throwsAsync(dialBy(t, proxy.port, 'other.test', { resolves: true }).connected, { code: 'internal' });
  t.is(proxy.asked.length, 2);
});

test('what the other side says in one piece with the proxy\'s answer is not lost', async (t) => {
  const proxy = await startUpstreamProxy(t, { early: 'SSH-2.0-x\r\n' });
  const seen: string[] = [];
  await dialBy(t, proxy.port).connected.then((side) => { side.read = (bytes) => { seen.push(bytes.toString()); }; });
  await until('the banner', () => seen.join('') === 'SSH-2.0-x\r\n' || undefined);
  t.pass();
});

const answers: readonly (readonly [answer: string, code: string, message: RegExp])[] = [
  ['HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n', 'upstream_refused', /^The upstream proxy proxy\.corp\.test:3128 wants other credentials .* \(407\)\.$/],
  ['HTTP/1.1 403 Forbidden\r\n\r\n', 'upstream_refused', /proxy\.corp\.test:3128 refused to connect to 20\.30\.40\.50:443 \(403\)/],
  ['HTTP/1.0 502 Bad Gateway\r\n\r\n', 'upstream_unreachable', /proxy\.corp\.test:3128 could not reach 20\.30\.40\.50:443 \(502\)/],
  ['HTTP/1.1 503\r\n\r\n', 'upstream_unreachable', /\(503\)/],
  ['HTTP/1.1 504 Gateway Timeout\r\n\r\n', 'upstream_timeout', /\(504\)/],
  ['HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/\r\n\r\n', 'upstream_refused', /\(302\)/],
  ['HTTP/1.1 100 Continue\r\n\r\n', 'upstream_refused', /\(100\)/],
  ['HTTP/2 200 OK\r\n\r\n', 'upstream_protocol', /proxy\.corp\.test:3128 did not answer as an HTTP proxy does/],
  ['HTTP/1.1 200 OK\n\n', 'upstream_protocol', /did not answer/],
  ['SSH-2.0-x\r\n\r\n', 'upstream_protocol', /did not answer/],
  ['\u0016\u0003\u0001', 'upstream_protocol', /did not answer/],
  [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}`, 'upstream_protocol', /did not answer/],
  ['HTTP/1.1 200 O', 'upstream_reset', /^The upstream proxy proxy\.corp\.test:3128 closed the connection\.$/],
  ['', 'upstream_reset', /closed the connection/],
];
for (const [answer, code, message] of answers) {
  test(`a proxy that answers ${JSON.stringify(answer.slice(0, 40))} is ${code}`, async (t) => {
    const proxy = await startUpstreamProxy(t, { answer });
    await t.throwsAsync(dialBy(t, proxy.port).connected, { code, message });
  });
}

test('a proxy that refuses the connection, or says nothing, is named', async (t) => {
  const gone = await startLocalServer(t, (socket) => socket.destroy());
  await t.throwsAsync(dialBy(t, gone.port).connected, { message: /^The upstream proxy proxy\.corp\.test:3128 / });
  const silent = await startLocalServer(t, (socket) => { socket.resume(); });
  await t.throwsAsync(dialBy(t, silent.port, '20.30.40.50', {}, { ...forwardLimits, connect_ms: 100 }).connected, { code: 'upstream_timeout', message: /The upstream proxy proxy\.corp\.test:3128 did not connect to site\.test:443 within 100 ms/ });
  await until('the connection to be closed', () => silent.sockets.every((socket) => socket.destroyed) || undefined);
});

test('an address of the proxy that is dead costs no more than the stagger', async (t) => {
  const proxy = await startUpstreamProxy(t);
  await dialBy(t, proxy.port, '20.30.40.50', { addresses: ['127.0.0.99', '127.0.0.1'] }).connected;
  t.is(proxy.asked.length, 1);
});

test('an answer that comes byte by byte is read as one', async (t) => {
  const slow = await startLocalServer(t, (socket) => {
    socket.setNoDelay(true);
    socket.once('data', () => { void (async () => { for (const byte of established) { socket.write(byte); await new Promise(setImmediate); } })(); });
  });
  t.is((await dialBy(t, slow.port).connected).address, '20.30.40.50');
});
