/** Who is taken for an origin, and who is not. All of it with NODE_TLS_REJECT_UNAUTHORIZED=0, which must change nothing. */
import { createServer, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import test from 'ava';
import { Stop } from '../../../../proxy/enforce/stop.ts';
import { makeCertificate } from '../../../helpers/certificate.ts';
import { fileLifetime } from '../../../helpers/lifetime.ts';
import { ok, secureProxy, securePair } from '../../../helpers/secure-pair.ts';
import { TestAuthority, type Issued } from '../../../helpers/test-authority.ts';
import { until } from '../../../helpers/wait.ts';
import { startOrigin } from '../../wire-world.ts';

process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';

const file = fileLifetime();
let authority: TestAuthority;
let strange: TestAuthority;
let good: Issued;
test.before(async () => {
  authority = await TestAuthority.make(file);
  strange = await TestAuthority.make(file, 'Strange Authority');
  good = authority.issue({ names: ['DNS:origin.test'] });
});

const hosts = { names: ['DNS:origin.test'] };

const taken: readonly (readonly [title: string, host: string, issue: () => Issued])[] = [
  ['its own name', 'origin.test', () => authority.issue(hosts)],
  ['its name among others', 'origin.test', () => authority.issue({ names: ['DNS:other.test', 'DNS:origin.test'] })],
  ['a wildcard for one label', 'a.origin.test', () => authority.issue({ names: ['DNS:*.origin.test'] })],
  ['its address', '127.0.0.1', () => authority.issue({ names: ['IP:127.0.0.1'] })],
  ['its address of IPv6', '::1', () => authority.issue({ names: ['IP:::1'] })],
  ['a chain over an intermediate authority that is sent along', 'origin.test', () => authority.intermediate().issue(hosts)],
];
for (const [title, host, issue] of taken) {
  test(`a certificate with ${title} is taken`, async (t) => {
    const { client, start, proxy, origin } = await securePair(t, issue(), ok, { upstreamCa: authority.cert, permit: () => ({ host }) });
    client.send(`${start()}\r\n`);
    await client.hears('\r\n\r\nok');
    t.like(await proxy.outcome(0), { kind: 'completed', http_version: '1.1', tls: { version: 'TLSv1.3', resumed: false } });
    t.is((origin.peers[0]!.socket as TLSSocket & { readonly servername: string | false }).servername || undefined, /[a-z]/.test(host) ? host : undefined);
  });
}

test('a certificate that signed itself is taken where it is configured', async (t) => {
  const alone = await makeCertificate(t, 'DNS:origin.test');
  const { client, start } = await securePair(t, alone, ok, { upstreamCa: alone.cert });
  client.send(`${start()}\r\n`);
  await client.hears('\r\n\r\nok');
  t.pass();
});

test('TLS 1.2 is taken', async (t) => {
  const { client, start, proxy } = await securePair(t, { ...good, maxVersion: 'TLSv1.2' }, ok, { upstreamCa: authority.cert });
  client.send(`${start()}\r\n`);
  await client.hears('\r\n\r\nok');
  t.like(await proxy.outcome(0), { kind: 'completed', tls: { version: 'TLSv1.2', resumed: false } });
});

const mend = /nothing lets a broken one through/;
const trust = /--upstream-ca FILE/;
const refused: readonly (readonly [title: string, host: string, issue: () => Issued, detail: RegExp, next: RegExp])[] = [
  ['another host', 'origin.test', () => authority.issue({ names: ['DNS:other.test', 'IP:10.0.0.1'] }), /is not for origin\.test, but for other\.test, 10\.0\.0\.1\./, mend],
  ['very many other hosts', 'origin.test', () => authority.issue({ names: Array.from({ length: 50 }, (_, index) => `DNS:n${index}.test`) }), /but for n0\.test, n1\.test, n2\.test, n3\.test, n4\.test and 45 more\./, mend],
  ['a common name alone', 'origin.test', () => authority.issue({ names: [], commonName: 'origin.test' }), /names no host, so it is not for origin\.test/, mend],
  ['its name in the common name, and another one beside', 'origin.test', () => authority.issue({ names: ['DNS:other.test'], commonName: 'origin.test' }), /but for other\.test/, mend],
  ['a wildcard for two labels', 'a.b.origin.test', () => authority.issue({ names: ['DNS:*.origin.test'] }), /but for \*\.origin\.test/, mend],
  ['a wildcard for no label', 'origin.test', () => authority.issue({ names: ['DNS:*.origin.test'] }), /but for \*\.origin\.test/, mend],
  ['a wildcard for a part of a label', 'www.origin.test', () => authority.issue({ names: ['DNS:w*.origin.test'] }), /but for w\*\.origin\.test/, mend],
  ['a wildcard in the middle', 'a.b.origin.test', () => authority.issue({ names: ['DNS:a.*.origin.test'] }), /but for a\.\*\.origin\.test/, mend],
  ['another address', '127.0.0.1', () => authority.issue({ names: ['IP:127.0.0.2'] }), /is not for 127\.0\.0\.1, but for 127\.0\.0\.2/, mend],
  ['its address as a name', '127.0.0.1', () => authority.issue({ names: ['DNS:127.0.0.1'] }), /is not for 127\.0\.0\.1/, mend],
  ['a wildcard for an address', '127.0.0.1', () => authority.issue({ names: ['DNS:*.0.0.1'] }), /is not for 127\.0\.0\.1/, mend],
  ['the name of another kind', 'origin.test', () => authority.issue({ names: ['email:origin.test@origin.test', 'URI:https://origin.test/'] }), /names no host/, mend],
  ['its name as something else than a host\'s', 'origin.test', () => authority.issue({ names: ['otherName:1.2.3.4;UTF8:origin.test'] }), /names no host/, mend],
  ['an end that has passed', 'origin.test', () => authority.issue({ ...hosts, from: -9, to: -1 }), /has a certificate that has expired \(\d{4}-\d\d-\d\d\)/, mend],
  ['a beginning that is to come', 'origin.test', () => authority.issue({ ...hosts, from: 1, to: 9 }), /not valid yet \(\d{4}-\d\d-\d\d\)/, /clock/],
  ['an intermediate authority that has expired', 'origin.test', () => authority.intermediate('Old', { from: -9, to: -1 }).issue(hosts), /whose authority's own has expired/, mend],
  ['a client\'s purpose', 'origin.test', () => authority.issue({ ...hosts, usage: 'clientAuth' }), /can't be relied on \(INVALID_PURPOSE\)/, mend],
  ['an authority that nobody knows', 'origin.test', () => strange.issue(hosts), /not trusted here, or did not send all of its chain \(Strange Authority\)/, trust],
  ['an authority that nobody knows and that is sent along', 'origin.test', () => strange.issue({ ...hosts, chained: true }), /an authority that is not trusted here \(Strange Authority\)/, trust],
  ['an intermediate authority that is not sent along', 'origin.test', () => {
    const { key, cert } = authority.intermediate('Kept Back').issue(hosts);
    return { key, cert: /-----BEGIN[^]*?-----END CERTIFICATE-----\n/.exec(cert)![0] };
  }, /did not send all of its chain \(Kept Back\)/, /send its intermediate certificates/],
];
for (const [title, host, issue, detail, next] of refused) {
  test(`a certificate with ${title} is refused, and nothing is sent`, async (t) => {
    const { client, start, proxy, origin } = await securePair(t, issue(), ok, { upstreamCa: authority.cert, permit: () => ({ host }) });
    client.send(`${start()}X-Secret: 1\r\n\r\n`);
    await client.hears(/HTTP\/1\.1 502 [^]*"code": "upstream_tls"[^]*\}\n$/);
    t.regex(client.text, detail);
    t.regex(client.text, next);
    t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_tls', bytes_out: 0, bytes_in: 0 });
    for (const peer of origin.peers) t.is(peer.text, '');
    // The client's connection is as good as before.
    client.send(`${start()}\r\n`);
    await until('the second refusal', () => client.text.split('HTTP/1.1 502').length === 3);
  });
}

test('a certificate that signed itself is refused', async (t) => {
  const { client, start } = await securePair(t, await makeCertificate(t, 'DNS:origin.test'), ok, { upstreamCa: authority.cert });
  client.send(`${start()}\r\n`);
  await client.hears(/"code": "upstream_tls"[^]*\}\n$/);
  t.regex(client.text, /that it signed itself/);
  t.regex(client.text, trust);
});

const old = { ciphers: 'ALL:@SECLEVEL=0', minVersion: 'TLSv1' } as const;
const broken: readonly (readonly [title: string, tls: () => object, detail: RegExp])[] = [
  ['TLS 1.0 alone', () => ({ ...good, ...old, maxVersion: 'TLSv1' }), /speaks no TLS of version 1\.2 or later/],
  ['TLS 1.1 alone', () => ({ ...good, ...old, maxVersion: 'TLSv1.1' }), /speaks no TLS of version 1\.2 or later/],
  ['a cipher without forward secrecy', () => ({ ...authority.issue({ ...hosts, rsa: true }), ciphers: 'AES128-GCM-SHA256', maxVersion: 'TLSv1.2' }), /has no cipher in common with us/],
  ['HTTP/2 alone', () => ({ ...good, ALPNProtocols: ['h2'] }), /speaks no protocol that was offered/],
];
for (const [title, tls, detail] of broken) {
  test(`an origin that speaks ${title} is refused`, async (t) => {
    const { client, start, origin } = await securePair(t, tls(), ok, { upstreamCa: authority.cert });
    client.send(`${start()}\r\n`);
    await client.hears(/HTTP\/1\.1 502 [^]*"code": "upstream_tls"[^]*\}\n$/);
    t.regex(client.text, detail);
    t.is(origin.peers.length, 0);
  });
}

test('an origin that wants a certificate of its client is told as such', async (t) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { client, start } = await securePair(t, { ...good, requestCert: true, rejectUnauthorized: true, maxVersion }, ok, { upstreamCa: authority.cert });
    client.send(`${start()}\r\n`);
    await client.hears(/"code": "upstream_tls"[^]*\}\n$/);
    t.regex(client.text, maxVersion === 'TLSv1.2' ? /refused the handshake: .*, or wants a certificate of its client/ : /wants a certificate of its client, and this proxy has none/, maxVersion);
  }
});

/** An origin that takes the ClientHello and then does what it likes. */
async function afterHello(t: Parameters<typeof startOrigin>[0], act: (socket: Socket) => void): Promise<{ readonly port: number; readonly sockets: readonly Socket[] }> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => { /* Told by what the proxy says. */ }).once('data', () => { act(socket); });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as { readonly port: number }).port, sockets };
}

const endings: readonly (readonly [title: string, act: (socket: Socket) => void, detail: RegExp])[] = [
  ['closes', (socket) => socket.end(), /closed the connection before TLS was agreed on/],
  ['resets', (socket) => socket.resetAndDestroy(), /closed the connection before TLS was agreed on/],
  ['answers in HTTP', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), /did not answer in TLS/],
  ['answers in SSH', (socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n'), /did not answer in TLS/],
  ['answers a part of a record and closes', (socket) => socket.end(Buffer.from([22, 3, 3, 0, 100, 2, 0])), /closed the connection before TLS was agreed on/],
  ['answers an alert', (socket) => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 112])), /does not know this host name/],
  ['answers a record that is no handshake', (socket) => socket.end(Buffer.from([23, 3, 3, 0, 1, 0])), /did not answer in TLS|broke TLS/],
];
for (const [title, act, detail] of endings) {
  test(`an origin that ${title} in the handshake is upstream_tls`, async (t) => {
    const { client, start, proxy } = await secureProxy(t, await afterHello(t, act), { upstreamCa: authority.cert });
    client.send(`${start()}\r\n`);
    await client.hears(/HTTP\/1\.1 502 [^]*"code": "upstream_tls"[^]*\}\n$/);
    t.regex(client.text, detail);
    t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_tls', bytes_out: 0 });
  });
}

test('a handshake that takes too long is a time-out, and its connection is closed', async (t) => {
  const origin = await afterHello(t, () => { /* Keeps silent. */ });
  const { client, start } = await secureProxy(t, origin, { upstreamCa: authority.cert, forward: { handshake_ms: 300 } });
  client.send(`${start()}\r\n`);
  t.regex(await client.hears(/HTTP\/1\.1 504 [^]*\}\n$/), /"code": "upstream_timeout"[^]*did not agree on TLS within 300 ms/);
  await until('the end at the origin', () => origin.sockets[0]!.destroyed || origin.sockets[0]!.readableEnded);
});

test('whoever ends it in the middle of a handshake ends its connection at once', async (t) => {
  for (const way of ['client', 'stop'] as const) {
    const came = Promise.withResolvers<Socket>();
    const stop = new Stop();
    const { client, start, proxy } = await secureProxy(t, await afterHello(t, came.resolve), { upstreamCa: authority.cert, permit: () => ({ stop }) });
    client.send(`${start()}\r\n`);
    const socket = await came.promise;
    if (way === 'client') client.socket.destroy();
    else stop.stop({ code: 'run_ended', detail: 'The run was cancelled.' });
    await until('the end at the origin', () => socket.destroyed || socket.readableEnded);
    t.like(await proxy.outcome(0), way === 'client' ? { kind: 'failed', code: 'client_gone' } : { kind: 'cut', code: 'run_ended' });
    if (way === 'stop') await client.hears('run_ended');
  }
});

test('an origin of TLS 1.2 that asks for a renegotiation gets none', async (t) => {
  const renegotiated = Promise.withResolvers<Error | null>();
  const { client, start, proxy } = await securePair(t, { ...good, maxVersion: 'TLSv1.2' }, (peer) => {
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok');
    const socket = peer.socket as TLSSocket;
    const before = socket.getFinished()?.toString('hex');
    for (const ending of ['error', 'end', 'close']) socket.on(ending, () => { renegotiated.resolve(new Error('It was closed.')); });
    socket.renegotiate({}, (error) => { renegotiated.resolve(error ?? (socket.getFinished()?.toString('hex') === before ? new Error('Nothing was agreed on anew.') : null)); });
    peer.send('!');
  }, { upstreamCa: authority.cert });
  client.send(`${start()}\r\n`);
  await client.hears('ok');
  t.not(await renegotiated.promise, null, 'it was agreed on anew');
  await client.ends();
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_tls', tls: { version: 'TLSv1.2', resumed: false } });
});
