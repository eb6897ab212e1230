import type { TLSSocket } from 'node:tls';
import test from 'ava';
import { systemClock } from '../../../contracts/clock.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { makePermit, type Permit } from '../../../proxy/enforce/permit.ts';
import { Stop } from '../../../proxy/enforce/stop.ts';
import type { DialContext } from '../../../proxy/forward/context.ts';
import { forwardLimits } from '../../../proxy/forward/limits.ts';
import { dialOrigin } from '../../../proxy/forward/origin-connection.ts';
import type { Protocol } from '../../../proxy/wire/alpn.ts';
import { TlsSessions } from '../../../proxy/forward/tls/sessions.ts';
import { UpstreamPool } from '../../../proxy/forward/pool.ts';
import { originContext } from '../../../proxy/forward/tls/roots.ts';
import { Sweep } from '../../../proxy/wire/sweep.ts';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { TestAuthority, type Issued } from '../../helpers/test-authority.ts';
import { event, until } from '../../helpers/wait.ts';
import { startOrigin, TestBudget } from '../wire-world.ts';

const file = fileLifetime();
let authority: TestAuthority;
let good: Issued;
test.before(async () => {
  authority = await TestAuthority.make(file);
  good = authority.issue({ names: ['DNS:origin.test'] });
});

const contextFor = (secureContext: DialContext['secureContext'] = originContext(authority.cert, () => [])): DialContext =>
  ({ clock: systemClock, sweep: new Sweep(systemClock), limits: forwardLimits, pool: new UpstreamPool(forwardLimits), secureContext, sessions: new TlsSessions() });

const permitTo = (port: number, scheme: Permit['scheme'] = 'https'): Permit => makePermit({
  egress_id: 'egr_test', run_id: 'run_test', kind: 'http', scheme, host: 'origin.test', port, authority: `origin.test:${port}`, method: 'GET', target: '/', raw: false, upgrade: undefined,
  addresses: [{ address: '127.0.0.1', family: 4, address_class: 'loopback' }], pool_key: 'key', spending: new TestBudget(), stop: new Stop(), stillValid: () => true, anotherTry: () => Promise.resolve(true),
});

const protocols: readonly (readonly [title: string, server: readonly string[] | undefined, offered: readonly [Protocol, ...Protocol[]], agreed: Protocol])[] = [
  ['both speak HTTP/2', ['h2', 'http/1.1'], ['h2', 'http/1.1'], 'h2'],
  ['the origin speaks HTTP/1.1 alone', ['http/1.1'], ['h2', 'http/1.1'], 'http/1.1'],
  ['the origin knows no ALPN', undefined, ['h2', 'http/1.1'], 'http/1.1'],
  ['only HTTP/1.1 is offered', ['h2', 'http/1.1'], ['http/1.1'], 'http/1.1'],
];
for (const [title, server, offered, agreed] of protocols) {
  test(`the protocol is ${agreed} where ${title}`, async (t) => {
    const origin = await startOrigin(t, undefined, { tls: { ...good, ...(server !== undefined && { ALPNProtocols: [...server] }) } });
    const { socket, address, protocol, tls } = await dialOrigin(permitTo(origin.port), contextFor(), offered).connected;
    t.teardown(() => socket.destroy());
    t.deepEqual({ address, protocol, tls }, { address: '127.0.0.1', protocol: agreed, tls: { version: 'TLSv1.3', resumed: false } });
    const peer = await origin.peer(0);
    t.is((peer.socket as TLSSocket).alpnProtocol, server === undefined ? false : agreed);
    // Bytes wait for whoever listens.
    peer.send('hello');
    t.is(String((await event('bytes', socket, 'data'))[0]), 'hello');
  });
}

test('in clear text the favourite is spoken unasked, and what comes waits for whoever listens', async (t) => {
  const origin = await startOrigin(t, (peer) => { peer.send('early'); });
  const { socket, protocol, tls } = await dialOrigin(permitTo(origin.port, 'http'), contextFor(), ['h2']).connected;
  t.teardown(() => socket.destroy());
  t.deepEqual([protocol, tls], ['h2', undefined]);
  t.is((await origin.peer(0)).text, '');
  const heard = event('bytes', socket, 'data');
  socket.resume();
  t.is(String((await heard)[0]), 'early');
});

test('without any authority nothing is dialled', async (t) => {
  const origin = await startOrigin(t);
  const context = contextFor(originContext(undefined, () => []));
  await t.throwsAsync(dialOrigin(permitTo(origin.port), context, ['http/1.1']).connected, { instanceOf: SallyportError, code: 'upstream_tls' });
  // What is dialled later arrives later.
  const { socket } = await dialOrigin(permitTo(origin.port, 'http'), context, ['http/1.1']).connected;
  t.teardown(() => socket.destroy());
  await origin.peer(0);
  t.is(origin.peers.length, 1);
});

test('who cancels in the middle of it hears nothing more, and nothing stays open', async (t) => {
  const origin = await startOrigin(t);
  for (const moment of ['at once', 'once the hello is there'] as const) {
    const before = origin.peers.length;
    const dialling = dialOrigin(permitTo(origin.port), contextFor(), ['http/1.1']);
    let settled = false;
    dialling.connected.then(() => { settled = true; }, () => { settled = true; });
    if (moment !== 'at once') await until('the hello', () => (origin.peers[before]?.bytes.length ?? 0) > 0);
    dialling.cancel();
    dialling.cancel();
    if (moment !== 'at once') await until('the end at the origin', () => origin.peers[before]!.ended || origin.peers[before]!.closed);
    await new Promise((resolve) => { setImmediate(resolve); });
    t.false(settled, moment);
  }
});
