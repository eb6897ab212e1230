import { constants } from 'node:crypto';
import { once } from 'node:events';
import { connect, createSecureContext, type ConnectionOptions, type TLSSocket } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { acceptInside, type Other } from '../../../proxy/accept/inside.ts';
import type { Exchange } from '../../../proxy/exchange.ts';
import { protocolsFor } from '../../../proxy/intercept/protocols.ts';
import { makeCertificate, type Certificate } from '../../helpers/certificate.ts';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { startProcess } from '../../helpers/process.ts';
import { captureHello, inRecords } from '../../helpers/tls-hello.ts';
import { until, within } from '../../helpers/wait.ts';
import { onHeads, permitFor, startOrigin, startWireProxy, type Peer, type WireProxy } from '../wire-world.ts';

const lifetime = fileLifetime();
let certificate: Certificate;
test.before('make a certificate', async () => { certificate = await makeCertificate(lifetime, 'DNS:site.test'); });

interface Inside {
  readonly client: Peer;
  readonly exchanges: Exchange[];
  readonly told: Other[];
  readonly offered: (readonly string[])[];
  readonly port: number;
}

/** A CONNECT to site.test that is open, its TLS ended here, and each request inside sent to an origin in clear text. */
async function inside(t: ExecutionContext, fault?: Error): Promise<Inside> {
  const origin = await startOrigin(t, (peer) => onHeads(peer, (head) => peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Seen: ${head.split('\r\n')[0]}\r\n\r\nok`)));
  const [exchanges, told, offered]: [Exchange[], Other[], (readonly string[])[]] = [[], [], []];
  const context = createSecureContext({ key: certificate.key, cert: certificate.cert, minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_RENEGOTIATION });
  const proxy: WireProxy = await startWireProxy(t, {
    accept: { first_bytes_ms: 1000 },
    handler: (exchange, forward) => {
      acceptInside(exchange.openTunnel(), {
        source: exchange.source, form: { kind: 'inside', authority: exchange.head.target, caller: 'the caller', tls: undefined }, host: 'site.test', limits: proxy.limits, sweep: proxy.sweep,
        tls: (names) => {
          if (fault !== undefined) throw fault;
          offered.push(names);
          return { context, protocols: protocolsFor(names, undefined) };
        },
        onOther: (other) => { told.push(other); },
      }, async (within) => {
        exchanges.push(within);
        await forward(permitFor(within, { port: origin.port, authority: 'site.test' }), within);
      });
      return Promise.resolve();
    },
  });
  const client = await proxy.connect();
  client.send('CONNECT site.test:443 HTTP/1.1\r\nHost: site.test:443\r\n\r\n');
  await client.hears('200 Connection Established\r\n\r\n');
  client.forget();
  client.socket.removeAllListeners('data');
  return { client, exchanges, told, offered, port: proxy.port };
}

function tls(t: ExecutionContext, { client }: Inside, options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({ socket: client.socket, servername: 'site.test', ca: certificate.cert, ALPNProtocols: ['http/1.1'], ...options });
  socket.on('error', () => { /* Each test looks at what it expects. */ });
  t.teardown(() => { socket.destroy(); });
  return socket;
}

async function get(socket: TLSSocket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => { text += piece; });
  socket.write('GET /in HTTP/1.1\r\nHost: site.test\r\n\r\n');
  await until('an answer', () => text.endsWith('\r\n\r\nok'));
  return text;
}

test('a request inside TLS is an exchange that says so', async (t) => {
  const scene = await inside(t);
  t.regex(await get(tls(t, scene)), /^HTTP\/1\.1 200 OK\r\n[^]*GET \/in HTTP\/1\.1/);
  t.deepEqual(scene.exchanges.map(({ form }) => form), [{ kind: 'inside', authority: 'site.test:443', caller: 'the caller', tls: { sni: 'site.test', version: 'TLSv1.3' } }]);
  t.deepEqual(scene.told, []);
});

const kinds: readonly (readonly [title: string, options: ConnectionOptions, version: string, sni: string | undefined])[] = [
  ['TLS 1.2', { maxVersion: 'TLSv1.2' }, 'TLSv1.2', 'site.test'],
  ['no name', { servername: '', checkServerIdentity: () => undefined }, 'TLSv1.3', undefined],
  ['no ALPN', { ALPNProtocols: [] }, 'TLSv1.3', 'site.test'],
];
for (const [title, options, version, sni] of kinds) {
  test(`so is one with ${title}`, async (t) => {
    const scene = await inside(t);
    await get(tls(t, scene, options));
    t.deepEqual(scene.exchanges.map(({ form }) => form.kind === 'inside' && form.tls), [{ version, sni }]);
  });
}

test('a ClientHello over many records and segments is one', async (t) => {
  const hello = await captureHello({ servername: 'site.test' });
  const scene = await inside(t);
  let heard = Buffer.alloc(0);
  scene.client.socket.on('data', (bytes: Buffer) => { heard = Buffer.concat([heard, bytes]); });
  for (const byte of inRecords(hello, [hello.length / 5 | 0])) scene.client.socket.write(Buffer.from([byte]));
  await until('a ServerHello', () => heard.length > 6);
  t.deepEqual([heard[0], heard[5]], [22, 2]);
});

async function ends(socket: TLSSocket): Promise<NodeJS.ErrnoException | undefined> {
  let problem: NodeJS.ErrnoException | undefined;
  socket.on('error', (error: NodeJS.ErrnoException) => { problem = error; });
  if (!socket.destroyed) await within('the end', once(socket, 'close').catch(() => undefined));
  return problem;
}

const refused: readonly (readonly [title: string, options: ConnectionOptions, alert: RegExp, told: object])[] = [
  ['another name', { servername: 'other.test' }, /UNRECOGNIZED_NAME/, { kind: 'refused', refused: { kind: 'refused', code: 'core.host_mismatch', detail: 'TLS asks for other.test, the CONNECT was for site.test.', alert: 112 } }],
  ['an old version', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }, /PROTOCOL_VERSION|UNSUPPORTED/, { kind: 'handshake', problem: 'the client wants a version of TLS that is older than 1.2' }],
  ['another protocol', { ALPNProtocols: ['acme-tls/1'] }, /NO_APPLICATION_PROTOCOL/, { kind: 'handshake', problem: 'the client offers neither HTTP/1.1 nor HTTP/2 (ALPN)' }],
];
for (const [title, options, alert, told] of refused) {
  test(`TLS for ${title} is refused in its own words, and told`, async (t) => {
    const scene = await inside(t);
    const problem = await ends(tls(t, scene, options));
    t.regex(problem?.code ?? '', alert);
    await until('word of it', () => scene.told.length > 0);
    t.deepEqual(scene.told, [told as Other]);
    t.is(scene.exchanges.length, 0);
  });
}

test('a client that does not trust the certificate is told of as such', async (t) => {
  const scene = await inside(t);
  const client = startProcess(t, 'openssl', ['s_client', '-proxy', `127.0.0.1:${scene.port}`, '-connect', 'site.test:443', '-servername', 'site.test', '-verify_return_error']);
  await client.exit();
  await until('word of it', () => scene.told.length > 0);
  t.deepEqual(scene.told, [{ kind: 'handshake', problem: 'the client does not trust the certificate that it was shown' }]);
});

test('a handshake that stops half-way is ended in time', async (t) => {
  const scene = await inside(t);
  scene.client.socket.write(await captureHello({ servername: 'site.test' }));
  await until('the end', () => scene.told.length > 0);
  t.deepEqual(scene.told, [{ kind: 'handshake', problem: 'its handshake did not end in time' }]);
});

test('what breaks TLS later ends it', async (t) => {
  const scene = await inside(t);
  const socket = tls(t, scene);
  await get(socket);
  scene.client.socket.write(Buffer.from([23, 3, 3, 0, 2, 1, 2]));
  await ends(socket);
  t.pass();
});

test('what keeps a certificate from being made is told, and the tunnel closed', async (t) => {
  const error = new Error('no key');
  const scene = await inside(t, error);
  await ends(tls(t, scene));
  t.deepEqual(scene.told, [{ kind: 'fault', error }]);
});

test('a session can\'t be renegotiated', async (t) => {
  const scene = await inside(t);
  const client = startProcess(t, 'openssl', ['s_client', '-proxy', `127.0.0.1:${scene.port}`, '-connect', 'site.test:443', '-servername', 'site.test', '-tls1_2'], { input: 'R\n' });
  await client.line(/^RENEGOTIATING$/m);
  await client.line(/no renegotiation/);
  t.pass();
});

test('HTTP/2 is spoken where it is offered, and where the origin is not known to lack it', (t) => {
  const rows: readonly (readonly [offered: string[], origin: boolean | undefined, protocols: string[]])[] = [
    [[], undefined, ['http/1.1']], [['http/1.1'], true, ['http/1.1']], [['h2'], undefined, ['h2']], [['h2'], false, ['h2']],
    [['http/1.1', 'h2'], undefined, ['h2', 'http/1.1']], [['h2', 'http/1.1'], true, ['h2', 'http/1.1']], [['h2', 'http/1.1'], false, ['http/1.1']],
  ];
  for (const [offered, origin, protocols] of rows) t.deepEqual(protocolsFor(offered, origin), protocols);
});
