/**
 * Domain fronting under TLS: the CONNECT names an allowed host, the ClientHello another one behind the same address. Filters that read
 * the name from the first segment or record missed one that sits past it, and an encrypted hello (ECH) hides it altogether.
 *
 * Here the name in the hello, wherever it is, must be that of the CONNECT before the origin has a byte; where tunnels aren't allowed
 * to stay unseen, TLS does not pass at all.
 */
import test from 'ava';
import { setImmediate as turn } from 'node:timers/promises';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { head, loopback, RawClient, startLocalServer, startProxyWorker, type ProxyWorker } from '../helpers/proxy-worker.ts';
import { extension, hello, inRecords, serverName } from '../helpers/tls-hello.ts';

const lifetime = fileLifetime();
let proxy: ProxyWorker;
let origin: Awaited<ReturnType<typeof startLocalServer>>;
let received = Buffer.alloc(0);
let run: FakeRun;

test.before(async () => {
  origin = await startLocalServer(lifetime, (socket) => { socket.on('data', (bytes: Buffer) => { received = Buffer.concat([received, bytes]); socket.write(`${received.length}.`); }); });
  proxy = await startProxyWorker(lifetime, { names: { 'site.test': ['127.0.0.1'] } });
  run = proxy.control.createRun({ allow: [{ host: 'site.test', ports: [origin.port], methods: ['TUNNEL'] }, { host: '127.0.0.1', ports: [origin.port], methods: ['TUNNEL'] }], policy: loopback });
  await proxy.control.acknowledgedAll();
});

async function open(host: string, of: FakeRun = run): Promise<RawClient> {
  const client = new RawClient(proxy);
  client.send(head(`${host}:${origin.port}`, { method: 'CONNECT', authorization: of.authorization }));
  await client.until('the tunnel', (text) => text.includes('\r\n\r\n'));
  return client;
}

const named = (name: string, ...more: readonly Buffer[]): Buffer => hello({ extensions: [extension(0x1234, Buffer.alloc(600)), serverName(name), ...more] });
const fronted: readonly (readonly [string, string, Buffer, string])[] = [
  ['another name', 'site.test', named('forbidden.test'), 'core.host_mismatch'],
  ['another name past the first record', 'site.test', inRecords(named('forbidden.test'), [100]), 'core.host_mismatch'],
  ['two names, the allowed one first', 'site.test', hello({ extensions: [serverName('site.test'), serverName('forbidden.test')] }), 'bad_request'],
  ['the allowed name and a NUL', 'site.test', named('site.test\0.forbidden.test'), 'bad_request'],
  ['an alert before the hello', 'site.test', Buffer.concat([Buffer.from('1503010002015a', 'hex'), named('forbidden.test')]), 'bad_request'],
  ['a name where an address was asked for', '127.0.0.1', named('forbidden.test'), 'core.host_mismatch'],
];
for (const [title, host, bytes, code] of fronted) {
  test.serial(`${title}: nothing reaches the origin, whole or byte by byte`, async (t) => {
    for (const single of [false, true]) {
      received = Buffer.alloc(0);
      const before = proxy.control.of(run, 'egress.cut').length;
      const client = await open(host);
      for (const piece of single ? [...bytes].map((byte) => Buffer.from([byte])) : [bytes]) {
        client.socket.write(piece);
        if (single) await turn();
      }
      await client.ended();
      t.is(received.length, 0);
      await proxy.control.ingested('the cut', () => proxy.control.of(run, 'egress.cut').length > before);
      const event = proxy.control.of(run, 'egress.cut').at(-1);
      t.like(event?.facts, { code, spent: { bytes_out: 0, bytes_in: 0 } });
      t.is(typeof event?.payload['detail'], 'string');
    }
  });
}

const ech = extension(0xfe0d, Buffer.alloc(40));

const passing: readonly (readonly [title: string, hellos: readonly Buffer[]])[] = [
  ['an encrypted hello passes under the allowed name, and under another one only because the operator let bytes pass unseen', [named('site.test', ech), named('public.test', ech)]],
  ['the allowed name in any spelling passes', [named('site.test'), named('SITE.Test.'), inRecords(named('site.test'), [100])]],
];

for (const [title, hellos] of passing) {
  test.serial(title, async (t) => {
    for (const bytes of hellos) {
      received = Buffer.alloc(0);
      const client = await open('site.test');
      client.socket.write(bytes);
      await client.until('an answer', (text) => text.endsWith(`${bytes.length}.`));
      t.true(received.equals(bytes));
      client.socket.destroy();
    }
  });
}

test.serial('where a tunnel is not allowed to stay unseen no TLS passes, whatever it names and on any port', async (t) => {
  const judged = proxy.control.createRun({ allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }], policy: loopback });
  await proxy.control.acknowledgedAll();
  received = Buffer.alloc(0);
  for (const name of ['site.test', 'forbidden.test']) {
    const client = await open('site.test', judged);
    client.socket.write(named(name));
    await client.ended();
  }
  t.is(received.length, 0);
  await proxy.control.ingested('both', () => proxy.control.of(judged, 'egress.denied').length === 2);
  t.deepEqual(proxy.control.of(judged, 'egress.denied').map(({ facts }) => facts['code']), ['needs_interception', 'needs_interception']);
});
