/**
 * Proxies that look into TLS and are lax on the other side of it: an agent behind them speaks with whoever holds the address, as the
 * client's own check of the certificate has gone. Some took any certificate, some a common name, an old version of TLS, clear text when TLS
 * failed, or a certificate of their own authority, which any client of theirs can get made.
 *
 * Here the origin's certificate is verified for the host that was judged, always: neither an entry for the host nor one for its address
 * changes that. Nothing of the request is sent before, and the agent is told what is wrong.
 */
import test, { type ExecutionContext } from 'ava';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { systemClock } from '../../contracts/clock.ts';
import { openAuthorities, readTrusted } from '../../proxy/intercept/authority/authorities.ts';
import { Leaves } from '../../proxy/intercept/leaves.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { head, loopback, RawClient } from '../helpers/proxy-worker.ts';
import { TestAuthority } from '../helpers/test-authority.ts';
import { askHttp2, connectTo, fileTlsScene, insideHttp1, insideHttp2, lookedInto, openTunnel, startTlsOrigin, tryTls } from '../helpers/tls-scene.ts';

const scene = fileTlsScene({ names: { 'a.site.test': ['127.0.0.1'], 'pinned.test': ['127.0.0.1'] } });
const names = { names: ['DNS:site.test'] };
const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;

/** A leaf of the authority that this installation's clients trust, which every agent's handshake gets made for the host that it names. */
function ours(): TlsOptions {
  const { proxy } = scene();
  const context = new Leaves(openAuthorities(proxy.folder, systemClock), systemClock).secureContext('site.test', 'run');
  // Its chain goes along, whole.
  (context.context as { addCACert(pem: string): void }).addCACert(readTrusted(proxy.folder));
  return { ...authority().issue(names), SNICallback: (_name, done) => { done(null, context); } };
}

interface Broken {
  readonly title: string;
  readonly tls: (t: ExecutionContext) => TlsOptions | Promise<TlsOptions>;
  readonly detail: RegExp;
  readonly host?: string;
}
const authority = (): TestAuthority => scene().authority;
const broken: readonly Broken[] = [
  { title: 'a certificate of another host', tls: () => authority().issue({ names: ['DNS:other.test'] }), detail: /not for site\.test, but for other\.test/ },
  { title: 'a certificate of its address alone', tls: () => authority().issue({ names: ['IP:127.0.0.1'] }), detail: /not for site\.test, but for 127\.0\.0\.1/ },
  { title: 'a wildcard that stands for a label which is not there', tls: () => authority().issue({ names: ['DNS:*.site.test'] }), detail: /but for \*\.site\.test/ },
  { title: 'a wildcard for all of a top level', tls: () => authority().issue({ names: ['DNS:*'] }), detail: /not for site\.test|names no host/ },
  { title: 'a certificate of the name above', tls: () => authority().issue(names), host: 'a.site.test', detail: /not for a\.site\.test, but for site\.test/ },
  { title: 'a certificate with a common name alone', tls: () => authority().issue({ names: [], commonName: 'site.test' }), detail: /names no host/ },
  { title: 'a certificate that has expired', tls: () => authority().issue({ ...names, from: -9, to: -1 }), detail: /has expired/ },
  { title: 'a certificate that is not valid yet', tls: () => authority().issue({ ...names, from: 1, to: 9 }), detail: /not valid yet/ },
  { title: 'a certificate that signed itself', tls: (t) => makeCertificate(t, 'DNS:site.test'), detail: /signed itself/ },
  { title: 'a certificate of an authority that nobody knows', tls: async (t) => (await TestAuthority.make(t, 'Strange')).issue({ ...names, chained: true }), detail: /authority that is not trusted here/ },
  { title: 'a certificate of our own authority', tls: () => ours(), detail: /authority that is not trusted here/ },
  { title: 'a certificate for another purpose', tls: () => authority().issue({ ...names, usage: 'clientAuth' }), detail: /can't be relied on/ },
  { title: 'a certificate of an authority that may not sign for this name', tls: () => authority().intermediate('Constrained', { constraints: 'permitted;DNS:other.test' }).issue(names), detail: /can't be relied on|not trusted/ },
  { title: 'TLS 1.1 alone', tls: () => ({ ...authority().issue(names), ...old }), detail: /no TLS of version 1\.2 or later/ },
];

for (const { title, tls, detail, host = 'site.test' } of broken) {
  test(`an origin with ${title} gets nothing of a request`, async (t) => {
    const heard: Buffer[] = [];
    // Takes whatever comes: bytes that are sent before anything was verified would be here.
    const server = createServer({ ...await tls(t), ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
      socket.on('data', (bytes: Buffer) => { heard.push(bytes); }).on('error', () => { /* It is let go. */ });
    });
    server.on('tlsClientError', () => { /* As it should be. */ });
    let opened = 0;
    server.on('connection', () => { opened++; });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    const { port } = server.address() as AddressInfo;
    const run = await lookedInto(scene(), { hosts: [host], port });
    const options = { to: `${host}:${port}`, servername: host };
    const answers = [
      await (await insideHttp1(t, scene(), run, options)).send(head('/', { host: options.to, method: 'POST', fields: ['X-Secret: of-the-agent'], body: 'a body' })).answer(),
      await askHttp2(await insideHttp2(t, scene(), run, options), { 'x-secret': 'of-the-agent' }, 'a body'),
    ];
    for (const { status, code, body } of answers) {
      t.deepEqual([status, code], [502, 'upstream_tls']);
      const problem = JSON.parse(body) as { readonly detail: string; readonly next_steps: readonly string[] };
      t.regex(problem.detail, detail);
      t.true(problem.next_steps.length > 0);
    }
    t.true(opened >= 2, 'it was asked');
    t.is(Buffer.concat(heard).length, 0);
    const { control } = scene().proxy;
    await control.ingested('both failures', () => control.of(run, 'egress.failed').length === 2);
    for (const { facts } of control.of(run, 'egress.failed')) t.like(facts, { code: 'upstream_tls', spent: { bytes_out: 0, bytes_in: 0 } });
  });
}

test('an origin that answers TLS in clear text is not spoken to in clear text', async (t) => {
  const asked: string[] = [];
  const server = createHttpServer((request, response) => { asked.push(request.url ?? ''); response.end('clear'); });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const to = `site.test:${(server.address() as AddressInfo).port}`;
  const run = await lookedInto(scene(), { port: Number(to.split(':')[1]) });
  const client = await insideHttp1(t, scene(), run, { to });
  for (let index = 0; index < 2; index++) t.is((await client.send(head('/', { host: to })).answer()).code, 'upstream_tls');
  t.deepEqual(asked, []);
});

test('one that is right is spoken to, also where it was wrong just before', async (t) => {
  const certificates = [scene().authority.issue({ names: ['DNS:other.test'] }), scene().authority.issue(names)];
  const server = createServer({ ...certificates[0], ALPNProtocols: ['http/1.1'] }, (socket) => { socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')).on('error', () => { /* It is let go. */ }); });
  server.on('tlsClientError', () => { /* The first. */ });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const to = `site.test:${(server.address() as AddressInfo).port}`;
  const client = await insideHttp1(t, scene(), await lookedInto(scene(), { port: Number(to.split(':')[1]) }), { to });
  t.is((await client.send(head('/', { host: to })).answer()).code, 'upstream_tls');
  server.setSecureContext(certificates[1]!);
  t.is((await client.send(head('/', { host: to })).answer()).body, 'ok');
});

test.serial('what the operator\'s data lets pass unseen reaches a client that believes one certificate alone, and nothing else does', async (t) => {
  const pinned = await makeCertificate(t, 'DNS:pinned.test');
  const origin = await startTlsOrigin(t, { tls: pinned });
  const { control } = scene().proxy;
  const to = `pinned.test:${origin.port}`;
  const run = await lookedInto(scene(), { hosts: [] });
  const before = await connectTo(scene(), run, to);
  t.is(before.status, 200, 'refused inside');
  before.socket.destroy();
  t.is(origin.opened, 0);

  await control.publish((packs) => {
    const everyday = packs['default'] as { hosts: Record<string, string>; profiles: Record<string, object> };
    everyday.hosts['pinned.test'] = 'pinned';
    everyday.profiles['pinned'] = { ports: [origin.port], methods: [], path_prefixes: [], passthrough: true, raw: false, addresses: loopback.allow_addresses };
  });
  await control.acknowledgedAll();
  const { secure, problem } = await tryTls(scene(), await openTunnel(scene(), run, to), { servername: 'pinned.test', ca: pinned.cert });
  t.is(problem, undefined);
  t.is(secure.getPeerX509Certificate()?.toString(), pinned.cert, 'its own');
  const client = new RawClient(secure);
  client.send(head('/unseen', { host: to, fields: ['Connection: close'] }));
  t.regex(await client.ended(), /^HTTP\/1\.1 200 [^]*hello\n/);
  t.deepEqual(origin.requests.map(({ target, handshake }) => [target, handshake.servername]), [['/unseen', 'pinned.test']]);

  const fronted = await tryTls(scene(), await openTunnel(scene(), run, to), { servername: 'site.test', ca: pinned.cert });
  t.truthy(fronted.problem);
  t.is(origin.handshakes.length, 1);
  const clear = new RawClient(await openTunnel(scene(), run, to));
  clear.socket.resume();
  clear.send(head('/clear', { host: to }));
  await clear.ended();
  t.is(origin.handshakes.length, 1);
  await control.ingested('both cuts', () => control.of(run, 'egress.cut').length === 2);
  t.deepEqual(control.of(run, 'egress.cut').map(({ facts }) => facts['code']), ['core.host_mismatch', 'not_supported']);
  t.deepEqual(new Set(control.of(run, 'egress.decided').map(({ payload }) => payload['act'])), new Set(['connect']));
});
