/**
 * What a client says first in TLS, told in ways that a filter and a server read differently: a name past the first record or segment, two
 * names, bytes before or behind, an encrypted hello (ECH) whose real name nobody sees, data that comes along before anything is agreed on
 * (0-RTT, which may be replayed), a protocol that is agreed on (ALPN) and then not spoken, another TLS inside.
 *
 * Here the hello is read in one way or refused, what it may not offer is not taken, and what comes in place of the agreed protocol is
 * nobody's request. TLS being ended here, a name that is encrypted can't lead anywhere: the outer one has to be the CONNECT's.
 */
import test, { type ExecutionContext } from 'ava';
import { setImmediate as turn } from 'node:timers/promises';
import { duplexPair } from 'node:stream';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { readTrusted } from '../../proxy/intercept/authority/authorities.ts';
import { head, RawClient } from '../helpers/proxy-worker.ts';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { startProcess } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { captureHello, extension, hello, inRecords, message, record, serverName } from '../helpers/tls-hello.ts';
import { preface, rawClient } from '../helpers/http2-frames.ts';
import { fileTlsScene, insideHttp1, lookedInto, openTunnel, recordedRefusals, refusedTo, secureTunnel, tryTls } from '../helpers/tls-scene.ts';
import { within } from '../helpers/wait.ts';

const scene = fileTlsScene();
const host = (): string => `site.test:${scene().site.port}`;
const compatibility = Buffer.from([20, 3, 3, 0, 1, 1]);

/** The extension at the end of what is there. */
function withExtension(one: Buffer, more: Buffer): Buffer {
  const content = Buffer.concat([one.subarray(5), more]);
  const at = 4 + 2 + 32;
  const ciphers = at + 1 + content[at]!;
  const compression = ciphers + 2 + content.readUInt16BE(ciphers);
  const list = compression + 1 + content[compression]!;
  content.writeUInt16BE(content.readUInt16BE(list) + more.length, list);
  content.writeUIntBE(content.length - 4, 1, 3);
  return record(content);
}

/** A connection through which the hello goes as `spread` makes it, byte by byte, and all else as it is. */
function respelled(tunnel: Socket, spread: (one: Buffer) => Buffer): Socket {
  const [near, far] = duplexPair();
  far.once('data', async (first: Buffer) => {
    far.pause();
    for (const byte of spread(first)) {
      tunnel.write(Buffer.from([byte]));
      await turn();
    }
    far.pipe(tunnel);
  });
  tunnel.pipe(far);
  tunnel.on('close', () => { far.destroy(); near.destroy(); });
  return near as unknown as Socket;
}

const spreads: readonly (readonly [title: string, spread: (one: Buffer) => Buffer, options?: ConnectionOptions])[] = [
  ['as it is', (one) => one],
  ['over five records', (one) => inRecords(one, [Math.ceil(one.length / 5)])],
  ['in records of four bytes and the rest', (one) => inRecords(one, [4, 4, 16_000])],
  ['with the record that older TLS wants right behind it', (one) => Buffer.concat([one, compatibility])],
  ['without a name', (one) => one, { servername: '', checkServerIdentity: () => undefined }],
  ['of TLS 1.2', (one) => inRecords(one, [30]), { maxVersion: 'TLSv1.2' }],
  ['of TLS 1.2 without a name', (one) => one, { maxVersion: 'TLSv1.2', servername: '', checkServerIdentity: () => undefined }],
];
for (const [title, spread, options] of spreads) {
  test(`a hello that comes byte by byte, ${title}, opens TLS for the CONNECT's host alone`, async (t) => {
    const run = await lookedInto(scene());
    const { secure, problem } = await tryTls(scene(), respelled(await openTunnel(scene(), run), spread), options);
    t.teardown(() => secure.destroy());
    t.is(problem, undefined);
    const client = new RawClient(secure);
    const path = `/${title.replaceAll(' ', '-')}`;
    t.is((await client.send(head(path, { host: host() })).answer()).status, 200);
    t.is((await client.send(head(path, { host: host().replace('site', 'other') })).answer()).code, 'core.host_mismatch');
    const seen = scene().site.requests.filter(({ target }) => target === path);
    t.deepEqual(seen.map(({ authority, handshake }) => [authority, handshake.servername]), [[host(), 'site.test']]);
  });
}

/** Sends what no client of ours could, and waits for the ServerHello that answers it. */
async function answeredByHello(t: ExecutionContext, run: FakeRun, bytes: Buffer): Promise<Socket> {
  const tunnel = await openTunnel(scene(), run);
  t.teardown(() => tunnel.destroy());
  let heard = Buffer.alloc(0);
  const answered = within('a ServerHello', new Promise<void>((resolve) => tunnel.on('data', (piece: Buffer) => {
    heard = Buffer.concat([heard, piece]);
    if (heard.length > 6) resolve();
  })));
  tunnel.resume();
  tunnel.write(bytes);
  await answered;
  t.deepEqual([heard[0], heard[5]], [22, 2], 'a handshake message that is a ServerHello');
  return tunnel;
}

test('an encrypted hello, or what looks like one, passes where the name outside is the CONNECT\'s, as the real name is not ours to serve', async (t) => {
  const run = await lookedInto(scene());
  await answeredByHello(t, run, withExtension(await captureHello({ servername: 'site.test' }), extension(0xfe0d, Buffer.alloc(200, 9))));
  t.deepEqual(refusedTo(scene(), run), []);
});

test('data that a client sends along unasked (0-RTT) is thrown away', async (t) => {
  const run = await lookedInto(scene());
  const early = record(Buffer.from(head('/unasked', { host: host() })), 23, 0x0303);
  const tunnel = await answeredByHello(t, run, Buffer.concat([withExtension(await captureHello({ servername: 'site.test' }), extension(42, Buffer.alloc(0))), compatibility, early]));
  tunnel.destroy();
  t.deepEqual(await recordedRefusals(scene(), run, 1), ['interception_failed']);
  t.false(scene().site.requests.some(({ target }) => target === '/unasked'));
});

const named = (name: string, ...more: readonly Buffer[]): Buffer => hello({ extensions: [extension(0x1234, Buffer.alloc(600)), serverName(name), ...more] });
const ech = extension(0xfe0d, Buffer.alloc(200, 9));
const alert = Buffer.from('1503010002015a', 'hex');
const mismatch = 'core.host_mismatch';

const refused: readonly (readonly [title: string, bytes: () => Buffer | Promise<Buffer>, code: string])[] = [
  ['another name', () => named('other.test'), mismatch],
  ['another name past the first record', () => inRecords(named('other.test'), [100]), mismatch],
  ['another name outside of an encrypted hello', () => named('public.test', ech), mismatch],
  ['another name in a real hello, outside of an encrypted one', async () => withExtension(await captureHello({ servername: 'other.test' }), ech), mismatch],
  ['a name below the host\'s', () => named('a.site.test'), mismatch],
  ['an address as a name', () => named('127.0.0.1'), mismatch],
  ['two name extensions, the right one first', () => hello({ extensions: [serverName('site.test'), serverName('other.test')] }), 'bad_request'],
  ['two names in one list', () => hello({ extensions: [extension(0, Buffer.from(`0018000009${Buffer.from('site.test').toString('hex')}000009${Buffer.from('othe.test').toString('hex')}`, 'hex'))] }), 'bad_request'],
  ['a NUL in the name', () => named('site.test\0.other.test'), 'bad_request'],
  ['bytes behind the hello in its record', () => record(Buffer.concat([named('site.test').subarray(5), Buffer.from([20, 0, 0, 0])])), 'bad_request'],
  ['a second hello in the same record', () => record(Buffer.concat([named('site.test').subarray(5), named('other.test').subarray(5)])), 'bad_request'],
  ['an empty record before the rest', () => Buffer.concat([record(Buffer.alloc(0)), named('site.test')]), 'bad_request'],
  ['more records than a hello needs', () => inRecords(named('site.test'), [1]), 'bad_request'],
  ['a hello without end', () => record(message(Buffer.alloc(20_000)).subarray(0, 16_000)), 'bad_request'],
  ['another message first', () => record(message(Buffer.alloc(40), 16)), 'bad_request'],
  ['an alert before the hello', () => Buffer.concat([alert, named('site.test')]), 'not_supported'],
  ['the end of a handshake before its beginning', () => Buffer.concat([compatibility, named('site.test')]), 'not_supported'],
  ['a byte before the hello', () => Buffer.concat([Buffer.from([0]), named('site.test')]), 'not_supported'],
  ['a line break before the hello', () => Buffer.concat([Buffer.from('\r\n'), named('site.test')]), 'not_supported'],
  ['SSL 2', () => Buffer.from(`802e0100020015000000100100800700c0${'03'.repeat(30)}`, 'hex'), 'not_supported'],
  ['SSL 2 that offers TLS', () => Buffer.from(`802e0103010015000000100100800700c0${'03'.repeat(30)}`, 'hex'), 'not_supported'],
  ['a record of no version of TLS', () => Buffer.concat([Buffer.from([22, 2]), named('site.test').subarray(2)]), 'not_supported'],
  ['SSL 3', () => hello({ extensions: undefined, version: 0x0300, recordVersion: 0x0300 }), 'interception_failed'],
];
test('a hello that can be read in two ways, or names another host, reaches nobody, whole or byte by byte', async (t) => {
  const run = await lookedInto(scene(), { hosts: ['site.test', 'other.test'], port: scene().site.port });
  const codes: string[] = [];
  for (const [title, make, code] of refused) {
    const bytes = await make();
    for (const single of [false, true]) {
      if (single && bytes.length > 3000) continue;
      const tunnel = await openTunnel(scene(), run);
      const closed = within(`the end: ${title}`, new Promise<void>((resolve) => tunnel.once('close', resolve)));
      tunnel.resume();
      for (const piece of single ? [...bytes].map((byte) => Buffer.from([byte])) : [bytes]) {
        if (tunnel.writable) tunnel.write(piece);
        if (single) await turn();
      }
      await closed;
      codes.push(code);
    }
  }
  t.deepEqual(await recordedRefusals(scene(), run, codes.length), codes);
  t.false(scene().site.handshakes.some(({ servername }) => servername !== 'site.test'));
});

for (const version of ['TLSv1', 'TLSv1.1'] as const) {
  test(`${version} is not spoken, and recorded as such`, async (t) => {
    const run = await lookedInto(scene());
    const { problem } = await tryTls(scene(), await openTunnel(scene(), run), { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' });
    t.regex(problem?.code ?? '', /PROTOCOL_VERSION|UNSUPPORTED/);
    t.deepEqual(await recordedRefusals(scene(), run, 1), ['interception_failed']);
    t.regex(String(scene().proxy.control.of(run, 'egress.denied')[0]?.payload['detail']), /older than 1\.2/);
  });
}

test('data before the handshake is over is neither offered nor taken', async (t) => {
  const run = await lookedInto(scene());
  const folder = await temporaryFolder(t);
  const [ca, session, early] = [join(folder, 'ca.pem'), join(folder, 'session.pem'), join(folder, 'early')];
  await writeFile(ca, readTrusted(scene().proxy.folder));
  await writeFile(early, head('/early', { host: host() }));
  const client = (input: string, ...more: readonly string[]) => startProcess(t, 'openssl', [
    's_client', '-proxy', `127.0.0.1:${scene().proxy.port}`, '-proxy_user', run.snapshot.run_id, '-proxy_pass', `pass:${run.token}`,
    '-connect', host(), '-servername', 'site.test', '-CAfile', ca, '-verify_return_error', '-ign_eof', ...more,
  ], { input });
  const last = (path: string): string => head(path, { host: host(), fields: ['Connection: close'] });
  const first = client(last('/first'), '-sess_out', session);
  await first.line(/Max Early Data: 0/);
  await first.line(/^hello/);
  const second = client(last('/second'), '-sess_in', session, '-early_data', early);
  await second.line(/^hello/);
  const paths = scene().site.requests.map(({ target }) => target);
  t.true(paths.includes('/first') && paths.includes('/second'));
  t.false(paths.includes('/early'));
});

test('HTTP/1.1 where HTTP/2 was agreed on is nobody\'s request', async (t) => {
  const run = await lookedInto(scene());
  const client = new RawClient(await secureTunnel(scene(), run, { ALPNProtocols: ['h2', 'http/1.1'] }));
  t.is((client.socket as { alpnProtocol?: unknown }).alpnProtocol, 'h2');
  client.send(head('/lie-1', { host: host() }));
  await client.ended();
  t.false(client.text.includes('HTTP/1.1 200'));
  t.false(scene().site.requests.some(({ target }) => target === '/lie-1'));
});

test('HTTP/2 where HTTP/1.1 was agreed on, or nothing, is refused and recorded', async (t) => {
  for (const ALPNProtocols of [['http/1.1'], []]) {
    const run = await lookedInto(scene());
    const client = new RawClient(await secureTunnel(scene(), run, { ALPNProtocols }));
    client.send(preface.toString('latin1') + 'X'.repeat(100));
    t.regex(await client.ended(), /^HTTP\/1\.1 (?:400|501|505) /);
    t.is((await recordedRefusals(scene(), run, 1)).length, 1);
  }
});

test('TLS inside TLS is no request', async (t) => {
  const run = await lookedInto(scene());
  const client = await insideHttp1(t, scene(), run);
  client.send((await captureHello({ servername: 'other.test' })).toString('latin1'));
  t.regex(await client.ended(), /^HTTP\/1\.1 400 /);
  t.deepEqual(await recordedRefusals(scene(), run, 1), ['bad_request']);
  const http2 = rawClient(await secureTunnel(scene(), run, { ALPNProtocols: ['h2'] }));
  http2.send(await captureHello({ servername: 'other.test' }));
  await http2.closed();
  t.false(scene().site.handshakes.some(({ servername }) => servername === 'other.test'));
});
