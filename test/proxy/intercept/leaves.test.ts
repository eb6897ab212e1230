import test, { type ExecutionContext } from 'ava';
import { X509Certificate } from 'node:crypto';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { connect, TLSSocket, type ConnectionOptions, type SecureVersion } from 'node:tls';
import { systemClock, type Clock } from '../../../contracts/clock.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { openAuthorities, readTrusted, rotateAuthorities } from '../../../proxy/intercept/authority/authorities.ts';
import { leafLifeMs } from '../../../proxy/intercept/authority/rules.ts';
import { Leaves } from '../../../proxy/intercept/leaves.ts';
import { testClock } from '../../helpers/clock.ts';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { startProcess } from '../../helpers/process.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { event, within } from '../../helpers/wait.ts';

const hour = 3_600_000;
const day = 24 * hour;

/** Ends TLS as a worker does: `which` chooses worker, run and host for each connection. */
function serve(lifetime: Lifetime, contextOf: () => ReturnType<Leaves['secureContext']>): Promise<number> {
  const sockets = new Set<TLSSocket>();
  const server: Server = createServer((socket) => {
    const secure = new TLSSocket(socket, { isServer: true, secureContext: contextOf() });
    sockets.add(secure);
    secure.on('error', () => { /* The client is asked what it saw. */ });
    socket.on('error', () => { /* As above. */ });
    secure.on('data', (data: Buffer) => { secure.write(data); });
  });
  lifetime.teardown(() => { for (const socket of sockets) socket.destroy(); server.close(); });
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)); });
}

interface Seen { readonly reused: boolean; readonly session: Buffer | undefined; readonly names: string | undefined; readonly version: string | null; readonly cipher: string }

/** A connection of one round trip, after which a ticket of TLS 1.3 has come as well. */
function visit(port: number, options: ConnectionOptions): Promise<Seen> {
  return within('an answer inside TLS', new Promise((resolve, reject) => {
    const client = connect({ port, host: '127.0.0.1', ...options });
    let session: Buffer | undefined;
    client.on('session', (one: Buffer) => { session = one; });
    client.on('error', reject);
    client.once('secureConnect', () => client.write('x'));
    client.once('data', () => {
      const certificate = client.getPeerCertificate(true);
      const seen = { reused: client.isSessionReused(), names: certificate.subjectaltname, version: client.getProtocol(), cipher: client.getCipher().name };
      setImmediate(() => {
        client.destroy();
        resolve({ ...seen, session });
      });
    });
  }));
}

async function installation(t: ExecutionContext, clock: Clock = systemClock): Promise<{ readonly data: string; readonly leaves: Leaves; readonly another: () => Leaves; readonly ca: () => string }> {
  const data = await temporaryFolder(t);
  const another = (): Leaves => new Leaves(openAuthorities(data, clock), clock);
  return { data, leaves: another(), another, ca: () => readTrusted(data, clock) };
}

for (const [host, options, names] of [
  ['site.example', { servername: 'site.example' }, 'DNS:site.example'],
  // Node asks for the address that it connects to.
  ['127.0.0.1', {}, 'IP Address:127.0.0.1'],
] as const) {
  test(`a client that trusts the authority takes a leaf of ${host}, and for no other name`, async (t) => {
    const { leaves, ca } = await installation(t);
    const port = await serve(t, () => leaves.secureContext(host, 'run_a'));
    const seen = await visit(port, { ...options, ca: ca() });
    t.like(seen, { names, version: 'TLSv1.3', reused: false });
    await t.throwsAsync(visit(port, { servername: 'other.example', ca: ca() }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    await t.throwsAsync(visit(port, options), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }, 'without the authority');
  });
}

const versions: readonly (readonly [version: SecureVersion, ciphers: string, taken: boolean])[] = [
  ['TLSv1.3', 'TLS_CHACHA20_POLY1305_SHA256', true],
  ['TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256', true],
  ['TLSv1.2', 'ECDHE-ECDSA-CHACHA20-POLY1305', true],
  ['TLSv1.2', 'ECDHE-ECDSA-AES128-SHA', false],
  ['TLSv1.2', 'AES128-GCM-SHA256', false],
  ['TLSv1.1', 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0', false],
];
for (const [version, ciphers, taken] of versions) {
  test(`${version} with ${ciphers} is ${taken ? 'spoken' : 'not spoken'}`, async (t) => {
    const { leaves, ca } = await installation(t);
    const port = await serve(t, () => leaves.secureContext('site.example', 'run_a'));
    const visiting = visit(port, { servername: 'site.example', ca: ca(), minVersion: version, maxVersion: version, ciphers });
    if (taken) t.like(await visiting, { version });
    else t.regex(String(((await t.throwsAsync(visiting)) as NodeJS.ErrnoException).code), /^ERR_SSL_.*ALERT_(?:HANDSHAKE_FAILURE|PROTOCOL_VERSION)$/);
  });
}

for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
  test(`a session of ${version} is resumed by any worker of the installation, in its own run and for its own host alone`, async (t) => {
    const { leaves, another, ca } = await installation(t);
    const second = another();
    const foreign = (await installation(t)).leaves;
    let context = (): ReturnType<Leaves['secureContext']> => leaves.secureContext('site.example', 'run_a');
    const port = await serve(t, () => context());
    const options = { servername: 'site.example', ca: ca(), minVersion: version, maxVersion: version };
    const { session } = await visit(port, options);
    const resumed = { ...options, ...(session !== undefined && { session }) };
    t.true((await visit(port, resumed)).reused);
    context = () => second.secureContext('site.example', 'run_a');
    t.true((await visit(port, resumed)).reused, 'another worker');
    for (const [who, make] of [
      ['another run', () => leaves.secureContext('site.example', 'run_b')],
      ['another run at another worker', () => second.secureContext('site.example', 'run_b')],
    ] as const) {
      context = make;
      t.false((await visit(port, resumed)).reused, who);
    }
    context = () => leaves.secureContext('other.example', 'run_a');
    const other = { ...resumed, servername: 'other.example' };
    const seen = await visit(port, other);
    t.false(seen.reused, 'another host');
    t.is(seen.names, 'DNS:other.example');
    context = () => foreign.secureContext('site.example', 'run_a');
    t.false((await visit(port, { ...resumed, rejectUnauthorized: false })).reused, 'another installation');
  });
}

test('a leaf is made once for a run and host, and anew a day before its end', async (t) => {
  const clock = testClock(Date.now());
  const { leaves } = await installation(t, clock);
  const first = leaves.secureContext('site.example', 'run_a');
  t.is(leaves.secureContext('site.example', 'run_a'), first);
  t.not(leaves.secureContext('site.example', 'run_b'), first);
  clock.advance(leafLifeMs - day - 1);
  t.is(leaves.secureContext('site.example', 'run_a'), first);
  clock.advance(1);
  t.not(leaves.secureContext('site.example', 'run_a'), first);
});

test('a leaf is valid since an hour ago, for seven days; a clock that is set back gets another', async (t) => {
  const clock = testClock(Math.floor(Date.now() / 1000) * 1000);
  const { leaves, ca } = await installation(t, clock);
  const certificate = async (): Promise<X509Certificate> => {
    const port = await serve(t, () => leaves.secureContext('site.example', 'run_a'));
    return new Promise((resolve, reject) => {
      const client = connect({ port, host: '127.0.0.1', servername: 'site.example', ca: ca() }, () => {
        resolve(new X509Certificate(client.getPeerCertificate().raw));
        client.destroy();
      });
      client.on('error', reject);
    });
  };
  const read = await certificate();
  t.is(read.validFromDate.getTime(), clock.now() - hour);
  t.is(read.validToDate.getTime(), clock.now() + leafLifeMs);
  clock.step(-20 * 60_000);
  t.is((await certificate()).serialNumber, read.serialNumber);
  clock.step(-30 * 60_000);
  t.is((await certificate()).validFromDate.getTime(), clock.now() - hour);
});

test('when the next authority signs, a running worker has it sign what it gives out', async (t) => {
  const clock = testClock(Date.now());
  const { data, leaves, ca } = await installation(t, clock);
  const port = await serve(t, () => leaves.secureContext('site.example', 'run_a'));
  const old = ca();
  await visit(port, { servername: 'site.example', ca: old });
  rotateAuthorities(data, clock.now(), hour);
  clock.advance(hour - 1);
  await visit(port, { servername: 'site.example', ca: old });
  clock.advance(1);
  await t.throwsAsync(visit(port, { servername: 'site.example', ca: old }), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  await visit(port, { servername: 'site.example', ca: ca() });
});

test('only a canonical host is put into a certificate', async (t) => {
  const { leaves } = await installation(t);
  for (const host of ['Site.example', 'site.example.', '*.example', 'a b', '', '[::1]', '0x7f.1', 'a\0.example', 'a.example,DNS:b.example', 'bücher.example']) {
    const error = t.throws(() => leaves.secureContext(host, 'run_a'), { instanceOf: SallyportError }, host);
    t.is(error?.code, 'ambiguous_target');
  }
});

test('a connection lives on when its context has gone', async (t) => {
  const data = await temporaryFolder(t);
  const leaves = new Leaves(openAuthorities(data, systemClock), systemClock, 1);
  const port = await serve(t, () => leaves.secureContext('site.example', 'run_a'));
  const ca = readTrusted(data);
  const client = connect({ port, host: '127.0.0.1', servername: 'site.example', ca });
  const answer = (what: string): Promise<unknown> => within(what, new Promise((resolve, reject) => { client.once('data', resolve).once('error', reject); client.write(what); }));
  await answer('before');
  leaves.secureContext('other.example', 'run_b');
  await answer('after');
  client.destroy();
  t.like(await visit(port, { servername: 'site.example', ca }), { reused: false });
});

test('a flood of names takes no more memory than the cache', async (t) => {
  const data = await temporaryFolder(t);
  const from = (path: string): string => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
  // In a process of its own, which nothing else fills. Left to the collector, the same flood takes 90 MiB, with what is dropped given back 8.
  const flood = startProcess(t, process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', `
    import { systemClock } from ${from('contracts/clock.ts')};
    import { openAuthorities } from ${from('proxy/intercept/authority/authorities.ts')};
    import { Leaves } from ${from('proxy/intercept/leaves.ts')};
    const leaves = new Leaves(openAuthorities(${JSON.stringify(data)}, systemClock), systemClock, 100);
    for (let name = 0; name < 500; name++) leaves.secureContext('a' + name + '.test', 'run_a');
    const before = process.memoryUsage().rss;
    for (let name = 0; name < 5000; name++) {
      leaves.secureContext('h' + name + '.test', 'run_a');
      if (name % 10 === 0) await new Promise((resolve) => { setImmediate(resolve); });
    }
    console.log('grown ' + Math.round((process.memoryUsage().rss - before) / 1024 / 1024));`]);
  const grown = Number((await flood.line(/^grown (-?\d+)$/, 100_000))[1]);
  t.true(grown < 45, `${grown} MiB`);
});

test('a client that asks for renegotiation is refused', async (t) => {
  const { leaves, ca } = await installation(t);
  const port = await serve(t, () => leaves.secureContext('site.example', 'run_a'));
  const client = connect({ port, host: '127.0.0.1', servername: 'site.example', ca: ca(), maxVersion: 'TLSv1.2' });
  t.teardown(() => { client.destroy(); });
  await event('the handshake', client, 'secureConnect');
  client.renegotiate({}, () => { /* It is told as an error. */ });
  const [error] = await event('a refusal', client, 'error') as [NodeJS.ErrnoException];
  t.is(error.code, 'ERR_SSL_NO_RENEGOTIATION');
});
