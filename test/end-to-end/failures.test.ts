/**
 * docs/failures.md, row by row: each way in which another side can fail is brought about, and what the table says of it must be so.
 * A row without a test, and a test without a row, fail. Limits of minutes are waited for with a clock that runs faster.
 */
import type { ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { createServer as createTlsServer, type ConnectionOptions, type TlsOptions } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { Event } from '../../contracts/event.ts';
import { errorCatalogue, type ErrorCode } from '../../contracts/errors.ts';
import { packBundle } from '../../engine/bundle.ts';
import { loadBundle } from '../../engine/load-bundle.ts';
import { buildPolicies } from '../../engine/policy-tool.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { failingDisk } from '../helpers/failing-disk.ts';
import { FakeControlPlane, startFakeControlPlane, type FakeRun, type FakeRunOptions } from '../helpers/fake-control-plane.ts';
import { fastClock } from '../helpers/fast-clock.ts';
import { fileLifetime, type Lifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin, type SeenConnection } from '../helpers/origin.ts';
import { policiesWith, testCompiler } from '../helpers/policies.ts';
import { ask, head, RawClient, runSocket, startProxyWorker, type Answer, type ProxyWorker, type ProxyWorkerOptions, type RequestOptions } from '../helpers/proxy-worker.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { TestAuthority, type Issued } from '../helpers/test-authority.ts';
import { connectTo, tryTls } from '../helpers/tls-scene.ts';
import { until } from '../helpers/wait.ts';
import { addresses, dnsZone, freshAddress, type DnsAnswer, type DnsZone } from '../helpers/world.ts';

const test = needs('world', 'command openssl');

/** One row of the table. */
interface Row {
  readonly failure: string;
  /** A status, `closed` (the client's connection ends before its answer does), `gone` (there is no client any more) or `as usual`. */
  readonly answer: string;
  /** Empty where nobody is told one. */
  readonly code: string;
  readonly again: string;
  readonly told: string;
  readonly recorded: string;
}

const table: readonly Row[] = (await readFile(fileURLToPath(new URL('../../docs/failures.md', import.meta.url)), 'utf8')).split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
  .map((line) => line.slice(1, -1).split('|').map((cell) => cell.replaceAll('`', '').trim()))
  .filter((cells) => cells.length === 7 && cells[0] !== 'what fails')
  .map(([failure = '', , answer = '', code = '', again = '', told = '', recorded = '']) => ({ failure, answer, code, again, told, recorded }));

/** What a failure was seen to lead to. */
interface Seen {
  readonly answer: string;
  readonly refusal?: Answer;
  /** Where its record is looked for. */
  readonly proxy: ProxyWorker;
  readonly run: FakeRun;
}

interface Context {
  readonly t: ExecutionContext;
  /** Workers whose time is the world's, runs 10 times as fast (for limits of seconds) and 40 times as fast (of minutes). */
  readonly usual: ProxyWorker;
  readonly brisk: ProxyWorker;
  readonly hurried: ProxyWorker;
}

const file = fileLifetime();
let usual: ProxyWorker;
let brisk: ProxyWorker;
let hurried: ProxyWorker;
let zone: DnsZone;
let steady: string;
/** Trusted for origins by all workers, and one that is not. */
let authority: TestAuthority;
let strange: TestAuthority;
test.before(async () => {
  zone = dnsZone(file);
  steady = await zone.set(label(), [(await startOrigin(file)).address]);
  [authority, strange] = [await TestAuthority.make(file), await TestAuthority.make(file, 'Strange Authority')];
  const configuration = { upstream_ca: authority.cert };
  usual = await startProxyWorker(file, { realNames: true, configuration });
  brisk = await startProxyWorker(file, { realNames: true, configuration, clock: fastClock(10) });
  hurried = await startProxyWorker(file, { realNames: true, clock: fastClock(40) });
});

let numbers = 0;
const label = (): string => `n${numbers++}`;

/** A run that may reach `host`. One that brings credentials has had an answer before and holds budget: what follows asks nobody for more. */
async function createRun(proxy: ProxyWorker, host: string, options: FakeRunOptions = {}): Promise<FakeRun> {
  const run = proxy.control.createRun({ allow: [host, steady].map((name) => ({ host: name, ports: [80], methods: ['*'] })), ...options });
  await proxy.control.acknowledgedAll();
  if (options.channel !== 'jail') await until('a first answer', async () => (await ask(proxy, `http://${steady}/`, { authorization: run.authorization })).status === 200);
  return run;
}

const isEnd = (event: Event): boolean => /^egress\.(?:denied|completed|failed|cut)$/.test(event.type);

interface Site {
  readonly host: string;
  readonly origin: Origin;
  readonly run: FakeRun;
  readonly connections: readonly SeenConnection[];
}

/** An origin that does with its connection what it likes, by a name of its own, and a run that may reach it. */
async function site(t: Lifetime, proxy: ProxyWorker, connection?: (socket: Socket) => void, options: FakeRunOptions = {}): Promise<Site> {
  const origin = await startOrigin(t, connection === undefined ? {} : { connection });
  const host = await zone.set(label(), [origin.address]);
  return { host, origin, run: await createRun(proxy, host, options), connections: origin.connections };
}

/** Asks an origin that fails before its answer began. */
async function refusedBy(t: Lifetime, proxy: ProxyWorker, connection: (socket: Socket) => void, options: RequestOptions = {}): Promise<Seen> {
  const { host, run } = await site(t, proxy, connection);
  return await refused(proxy, run, host, options);
}

async function refused(proxy: ProxyWorker, run: FakeRun, host: string, options: RequestOptions = {}): Promise<Seen> {
  const refusal = await ask(proxy, `http://${host}/`, { authorization: run.authorization, ...options });
  return { answer: String(refusal.status), refusal, proxy, run };
}

/** What resolvers say of a name of its own. */
async function unresolved(proxy: ProxyWorker, answer: DnsAnswer): Promise<Seen> {
  const host = await zone.set(label(), answer);
  return await refused(proxy, await createRun(proxy, host), host);
}

const afterHead = (answer: (socket: Socket) => void) => (socket: Socket): void => { socket.once('data', () => answer(socket)); };
const part = 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n';
const chunkedPart = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n';

/** An origin that fails after its answer began: the client's connection must end at once, and not as if the answer were whole. */
async function cutBy({ t }: Context, proxy: ProxyWorker, first: string, fail: (socket: Socket) => void): Promise<Seen> {
  const origin = await site(t, proxy, afterHead((socket) => socket.write(first)));
  const client = new RawClient(proxy);
  await client.send(head(`http://${origin.host}/`, { authorization: origin.run.authorization })).until('the first part', (text) => text.includes('part'));
  const began = performance.now();
  fail(origin.connections[0]!.socket);
  const text = await client.ended();
  t.log(`closed after ${(performance.now() - began).toFixed(1)} ms`);
  t.false(text.endsWith('0\r\n\r\n'), 'the end of a body was told that did not come');
  return { answer: 'closed', proxy, run: origin.run };
}

/** A client whose TLS we end, at an origin that does with its connection what it likes. */
async function insideTls(t: Lifetime, proxy: ProxyWorker, connection: (socket: Socket, host: string) => void): Promise<{ readonly client: RawClient; readonly run: FakeRun; readonly connections: readonly SeenConnection[] }> {
  const name = label();
  const origin = await startOrigin(t, { port: 443, connection: (socket) => { connection(socket, zone.name(name)); } });
  const host = await zone.set(name, [origin.address]);
  const run = await createRun(proxy, host, { allow: [{ host, ports: [443], methods: ['*'] }, { host: steady, ports: [80], methods: ['*'] }], policy: { intercept: true } });
  const { socket } = await connectTo({ proxy }, run, `${host}:443`);
  const { secure, problem } = await tryTls({ proxy }, socket, { servername: host, ALPNProtocols: ['http/1.1'] });
  if (problem !== undefined) throw problem;
  t.teardown(() => secure.destroy());
  return { client: new RawClient(secure).send(head('/', { host })), run, connections: origin.connections };
}

/** A client with whom TLS comes to nothing: the origin is never dialled. */
async function unagreed({ t, usual: proxy }: Context, options: ConnectionOptions): Promise<Seen> {
  const { host, connections, origin } = await site(t, proxy);
  const run = await createRun(proxy, host, { allow: [{ host, ports: [443], methods: ['*'] }, { host: steady, ports: [80], methods: ['*'] }], policy: { intercept: true } });
  const { socket } = await connectTo({ proxy }, run, `${host}:443`);
  const { secure, problem } = await tryTls({ proxy }, socket, { servername: host, ...options });
  secure.destroy();
  t.truthy(problem);
  t.is(connections.length + origin.requests.length, 0);
  return { answer: 'closed', proxy, run };
}

/** An origin with whom TLS fails before its answer began. */
async function refusedInTls(t: Lifetime, proxy: ProxyWorker, connection: (socket: Socket, host: string) => void): Promise<Seen> {
  const { client, run } = await insideTls(t, proxy, connection);
  const refusal = await client.answer();
  return { answer: String(refusal.status), refusal, proxy, run };
}

/** A server in TLS with what `make` says of its host. */
const inTls = (make: (host: string) => TlsOptions, answer: (socket: Socket) => void = () => { /* Is not asked. */ }) => (socket: Socket, host: string): void => {
  const server = createTlsServer(make(host), (secure) => {
    secure.on('error', () => { /* The proxy tells. */ });
    secure.once('data', () => { answer(secure); });
  });
  server.on('tlsClientError', () => { /* The proxy tells. */ });
  server.emit('connection', socket);
};
const named = (host: string): { readonly names: readonly string[] } => ({ names: [`DNS:${host}`] });
const leafOf = ({ key, cert }: Issued): Issued => ({ key, cert: /-----BEGIN[^]*?-----END CERTIFICATE-----\n/.exec(cert)![0] });

/** A client that goes while an exchange is under way: the origin is told of it, within 200 ms on a quiet machine. */
async function leave({ t, usual: proxy }: Context, connection: (socket: Socket) => void, request: string, ready: (site: Site, client: RawClient) => Promise<unknown>): Promise<Seen> {
  const origin = await site(t, proxy, connection);
  const client = new RawClient(proxy);
  const [line = '', ...rest] = request.replace('HOST', origin.host).split('\r\n');
  client.send([line, `Host: ${origin.host}`, `Proxy-Authorization: ${origin.run.authorization}`, ...rest].join('\r\n'));
  await until('the origin\'s connection', () => origin.connections.length === 1);
  await ready(origin, client);
  const { socket } = origin.connections[0]!;
  const closed = new Promise<number>((resolve) => { socket.once('close', () => resolve(performance.now())); });
  const began = performance.now();
  client.socket.destroy();
  const took = await closed - began;
  t.log(`the origin's connection was closed after ${took.toFixed(1)} ms`);
  t.true(took < 2000, `${took} ms`);
  return { answer: 'gone', proxy, run: origin.run };
}

/** A worker of its own for what breaks the worker. */
async function own(t: Lifetime, options: ProxyWorkerOptions = {}): Promise<{ readonly proxy: ProxyWorker; readonly host: string; readonly run: FakeRun; readonly origin: Origin }> {
  const proxy = await startProxyWorker(t, { realNames: true, ...options });
  const { host, run, origin } = await site(t, proxy);
  return { proxy, host, run, origin };
}

async function brokenDisk(t: Lifetime, code: string): Promise<Seen> {
  const disk = failingDisk();
  const { proxy, host, run, origin } = await own(t, { disk });
  disk.failure = code;
  const seen = await refused(proxy, run, host);
  if (origin.requests.length > 0) throw new Error('It was sent unrecorded.');
  disk.failure = undefined;
  await until('requests again', async () => (await ask(proxy, `http://${host}/`, { authorization: run.authorization })).status === 200);
  return seen;
}

async function withoutPolicy(t: Lifetime, control: FakeControlPlane, folder: string): Promise<Seen> {
  const proxy = await startProxyWorker(t, { realNames: true, unready: true }, { folder, control });
  const run = control.createRun({ channel: 'jail', allow: [{ host: 'site.test', ports: [80], methods: ['*'] }] });
  const place = runSocket(proxy, run.snapshot.short_id);
  const refusal = await until('the run\'s listener', async () => {
    const answer = await ask(place, 'http://site.test/');
    return answer.status > 0 && answer;
  });
  return { answer: String(refusal.status), refusal, proxy, run };
}

const traps = `package sallyport.packs.trap

deny contains {"rule": concat(".", ["trap", "x"]), "message": _value} if input.request.method == "PURGE"

_value := "one" if input.request.method == "PURGE"

_value := "two" if startswith(input.request.method, "PURGE")

deny contains "no reason at all" if input.request.method == "MKCOL"
`;

/** A worker whose policy has a faulty pack: a method that it cannot be evaluated for, and one to which it gives an answer that is none. */
let trapped: Promise<ProxyWorker> | undefined;
async function startTrapped(): Promise<ProxyWorker> {
  const folder = await policiesWith(file, { 'packs/trap/trap.rego': traps, 'packs/trap/pack.json': JSON.stringify({ title: 'Traps', always_on: true, rules: {} }) });
  const built = await buildPolicies(folder, await testCompiler(file));
  if (built.status !== 'ok') throw new Error(JSON.stringify(built.errors));
  const home = await temporaryFolder(file);
  const control = new FakeControlPlane(join(home, 'api.sock'), { revision: built.bundle.revision, packed: packBundle(built.bundle) });
  await control.listen();
  file.teardown(() => control.close());
  return await startProxyWorker(file, { realNames: true }, { folder: home, control });
}

async function trap(method: string): Promise<Seen> {
  const proxy = await (trapped ??= startTrapped());
  return await refused(proxy, await createRun(proxy, steady), steady, { method });
}

/** By the first cell of a row. */
const failures: Readonly<Record<string, (context: Context) => Promise<Seen>>> = {
  'the origin refuses the connection': async ({ usual: proxy }) => {
    const host = await zone.set(label(), [await freshAddress()]);
    return await refused(proxy, await createRun(proxy, host), host);
  },
  'the origin\'s host or network cannot be reached': async ({ usual: proxy }) => {
    const host = await zone.set(label(), [addresses.unreachable]);
    return await refused(proxy, await createRun(proxy, host), host);
  },
  'the origin takes no connection for 10 s': async ({ brisk: proxy }) => {
    const host = await zone.set(label(), [addresses.silent]);
    return await refused(proxy, await createRun(proxy, host), host);
  },
  'the origin resets the connection before it answers': ({ t, usual: proxy }) => refusedBy(t, proxy, afterHead((socket) => socket.resetAndDestroy())),
  'the origin closes the connection before it answers': ({ t, usual: proxy }) => refusedBy(t, proxy, afterHead((socket) => socket.end())),
  'the origin closes in the middle of its head': ({ t, usual: proxy }) => refusedBy(t, proxy, afterHead((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Le'))),
  'the origin says nothing for 60 s': ({ t, brisk: proxy }) => refusedBy(t, proxy, () => { /* Keeps silent. */ }),
  'the origin answers something that is not HTTP': ({ t, usual: proxy }) => refusedBy(t, proxy, afterHead((socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n\r\n'))),
  'the origin\'s head is larger than 64 KiB or 100 fields': ({ t, usual: proxy }) => refusedBy(t, proxy, afterHead((socket) => socket.write(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(101)}\r\n`))),
  'the origin\'s answer has two lengths or framings': ({ t, usual: proxy }) => refusedBy(t, proxy, afterHead((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'))),
  'the origin sends more than 32 interim answers': async ({ t, usual: proxy }) => {
    const { host, run } = await site(t, proxy, afterHead((socket) => socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(33))));
    const client = new RawClient(proxy).send(head(`http://${host}/`, { authorization: run.authorization }));
    let refusal = await client.answer();
    while (refusal.status === 102) refusal = await client.answer();
    client.socket.destroy();
    return { answer: String(refusal.status), refusal, proxy, run };
  },
  'the origin switches protocols unasked': ({ t, usual: proxy }) => refusedBy(t, proxy, afterHead((socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'))),
  'the origin closes before its answer is complete': (context) => cutBy(context, context.usual, `${part}part`, (socket) => socket.end()),
  'the origin resets in the middle of its answer': (context) => cutBy(context, context.usual, chunkedPart, (socket) => socket.resetAndDestroy()),
  'the origin closes a chunked answer without its end': (context) => cutBy(context, context.usual, chunkedPart, (socket) => socket.end()),
  'the origin breaks the framing of its answer': (context) => cutBy(context, context.usual, chunkedPart, (socket) => socket.write('no size\r\n')),
  'the origin stalls in the middle of its answer for 5 min': (context) => cutBy(context, context.hurried, `${part}part`, () => { /* Says no more. */ }),

  'the origin\'s certificate is for another host': ({ t, usual: proxy }) => refusedInTls(t, proxy, inTls(() => authority.issue(named('other.test')))),
  'the origin\'s certificate names no host': ({ t, usual: proxy }) => refusedInTls(t, proxy, inTls((host) => authority.issue({ names: [], commonName: host }))),
  'the origin\'s certificate has expired': ({ t, usual: proxy }) => refusedInTls(t, proxy, inTls((host) => authority.issue({ ...named(host), from: -9, to: -1 }))),
  'the origin\'s certificate is not valid yet': ({ t, usual: proxy }) => refusedInTls(t, proxy, inTls((host) => authority.issue({ ...named(host), from: 1, to: 9 }))),
  'the origin signed its certificate itself': async ({ t, usual: proxy }) => {
    const alone = await makeCertificate(t, `DNS:*.${zone.suffix}`);
    return await refusedInTls(t, proxy, inTls(() => alone));
  },
  'the origin\'s certificate is of an authority that is not trusted': ({ t, usual: proxy }) => refusedInTls(t, proxy, inTls((host) => strange.issue({ ...named(host), chained: true }))),
  'the origin does not send its intermediate certificates': ({ t, usual: proxy }) => refusedInTls(t, proxy, inTls((host) => leafOf(authority.intermediate().issue(named(host))))),
  'the origin speaks no TLS of version 1.2 or later': ({ t, usual: proxy }) => refusedInTls(t, proxy, inTls((host) => ({ ...authority.issue(named(host)), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }))),
  'the origin wants a certificate of its client': ({ t, usual: proxy }) => refusedInTls(t, proxy, inTls((host) => ({ ...authority.issue(named(host)), requestCert: true, rejectUnauthorized: true }))),
  'the origin closes before TLS is agreed on': ({ t, usual: proxy }) => refusedInTls(t, proxy, afterHead((socket) => socket.end())),
  'the origin answers something that is not TLS': ({ t, usual: proxy }) => refusedInTls(t, proxy, afterHead((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))),
  'the origin does not agree on TLS within 10 s': ({ t, brisk: proxy }) => refusedInTls(t, proxy, () => { /* Keeps silent. */ }),
  'the origin breaks TLS in the middle of its answer': async ({ t, usual: proxy }) => {
    const { client, run, connections } = await insideTls(t, proxy, inTls((host) => authority.issue(named(host)), (socket) => socket.write(`${part}part`)));
    await client.until('the first part', (text) => text.includes('part'));
    // A record that nobody sealed.
    connections[0]!.socket.write(Buffer.from([23, 3, 3, 0, 32, ...Buffer.alloc(32, 7)]));
    await client.ended();
    return { answer: 'closed', proxy, run };
  },

  'the origin of a tunnel refuses the connection': async ({ usual: proxy }) => {
    const host = await zone.set(label(), [await freshAddress()]);
    const run = proxy.control.createRun({ allow: [{ host, ports: [443], methods: ['TUNNEL'] }] });
    await proxy.control.acknowledgedAll();
    const refusal = await ask(proxy, `${host}:443`, { method: 'CONNECT', authorization: run.authorization });
    return { answer: String(refusal.status), refusal, proxy, run };
  },

  'the name does not exist': ({ usual: proxy }) => unresolved(proxy, { kind: 'no_such_name' }),
  'the name has no address': ({ usual: proxy }) => unresolved(proxy, { kind: 'addresses', addresses: [] }),
  'the name server fails': ({ usual: proxy }) => unresolved(proxy, { kind: 'failure' }),
  'the name server refuses': ({ usual: proxy }) => unresolved(proxy, { kind: 'refused' }),
  'the name server says nothing for 5 s': ({ brisk: proxy }) => unresolved(proxy, { kind: 'silence' }),
  'the name has more than 64 addresses': ({ usual: proxy }) => unresolved(proxy, { kind: 'addresses', addresses: Array.from({ length: 65 }, (_, index) => `20.30.40.${index + 1}`) }),
  'the name is an alias of itself': async ({ usual: proxy }) => {
    const name = label();
    return await unresolved(proxy, { kind: 'alias', target: await zone.set(`${name}-b`, { kind: 'alias', target: `${name}-b.${zone.suffix}` }) });
  },
  'one address of the name may not be dialled': async ({ usual: proxy }) => {
    const host = await zone.set(label(), [await freshAddress(), addresses.private10]);
    return await refused(proxy, await createRun(proxy, host), host);
  },
  'a quarter of the free look-ups is the run\'s already': async ({ usual: proxy }) => {
    const run = proxy.control.createRun({ allow: [{ host: `*.${zone.suffix}`, ports: [80], methods: ['*'] }] });
    await proxy.control.acknowledgedAll();
    const asked = await Promise.all(Array.from({ length: 64 }, () => zone.set(label(), { kind: 'silence' })));
    const clients = asked.map((host) => new RawClient(proxy).send(head(`http://${host}/`, { authorization: run.authorization })));
    // A look-up more might come when those before it have been given up, so it is one of these that is looked at.
    await until('one of them to be refused', () => clients.some(({ text }) => text.includes('rate_limited')));
    const refusal = await clients.find(({ text }) => text.includes('rate_limited'))!.answer();
    for (const client of clients) client.socket.destroy();
    return { answer: String(refusal.status), refusal, proxy, run };
  },

  'the client closes its side before it is answered': async ({ t, usual: proxy }) => {
    const { host, run, connections } = await site(t, proxy, () => { /* Keeps silent. */ });
    const client = new RawClient(proxy);
    client.send(head(`http://${host}/`, { authorization: run.authorization }));
    await until('the request', () => connections[0] !== undefined && connections[0].bytesIn > 0);
    client.socket.end();
    await client.ended();
    return { answer: 'closed', proxy, run };
  },
  'the client leaves before it is answered': (context) => leave(context, () => { /* Keeps silent. */ }, 'GET http://HOST/ HTTP/1.1\r\n\r\n', ({ connections }) => until('the request', () => connections[0]!.bytesIn > 0)),
  'the client leaves in the middle of the answer': (context) => leave(context, afterHead((socket) => socket.write(`${part}part`)), 'GET http://HOST/ HTTP/1.1\r\n\r\n', (_site, client) => client.until('a part', (text) => text.endsWith('part'))),
  'the client leaves in the middle of its upload': (context) => leave(context, () => { /* Keeps silent. */ }, `POST http://HOST/ HTTP/1.1\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(1000)}`, ({ connections }) => until('a part', () => connections[0]!.bytesIn > 1000)),
  'the client stalls in the middle of its upload for 5 min': async ({ t, hurried: proxy }) => {
    const { host, run } = await site(t, proxy, () => { /* Keeps silent. */ });
    const client = new RawClient(proxy);
    client.send(`${head(`http://${host}/`, { method: 'POST', authorization: run.authorization, fields: ['Content-Length: 100000'] })}part`);
    await client.ended();
    return { answer: 'closed', proxy, run };
  },
  'the client takes nothing of its answer for 5 min': async ({ t, hurried: proxy }) => {
    const { host, run } = await site(t, proxy, afterHead((socket) => socket.write(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(30_000_000)}`)));
    const client = new RawClient(proxy);
    await client.send(head(`http://${host}/`, { authorization: run.authorization })).until('the answer to begin', (text) => text.length > 0);
    client.socket.pause();
    await proxy.control.ingested('its end', () => proxy.control.of(run, 'egress.failed').length === 1);
    client.socket.resume();
    await client.ended();
    return { answer: 'closed', proxy, run };
  },
  'the client sends no whole head for 30 s': async ({ brisk: proxy }) => {
    const run = await createRun(proxy, 'site.test', { channel: 'jail' });
    const client = new RawClient(runSocket(proxy, run.snapshot.short_id));
    const refusal = await client.send('GET http://site.test/ HTTP/1.1\r\nHost: si').answer();
    await client.ended();
    return { answer: String(refusal.status), refusal, proxy, run };
  },
  'the client sends a request that can be read in more ways than one': async ({ usual: proxy }) => {
    const run = await createRun(proxy, 'site.test', { channel: 'jail' });
    const client = new RawClient(runSocket(proxy, run.snapshot.short_id));
    const refusal = await client.send(head('http://site.test/', { fields: ['Content-Length: 1', 'Transfer-Encoding: chunked'] })).answer();
    await client.ended();
    return { answer: String(refusal.status), refusal, proxy, run };
  },
  'the client breaks the framing of its upload': async ({ t, usual: proxy }) => {
    const { host, run } = await site(t, proxy, () => { /* Keeps silent. */ });
    const client = new RawClient(proxy);
    const refusal = await client.send(`${head(`http://${host}/`, { method: 'POST', authorization: run.authorization, fields: ['Transfer-Encoding: chunked'] })}4\r\npart\r\nno size\r\n`).answer();
    client.socket.destroy();
    return { answer: String(refusal.status), refusal, proxy, run };
  },
  'the client does not trust the certificate that it is shown': (context) => unagreed(context, { ca: strange.cert }),
  'the client names another host in TLS than in its CONNECT': (context) => unagreed(context, { servername: 'other.test' }),
  'the client has wrong credentials': async ({ usual: proxy }) => {
    const run = await createRun(proxy, 'site.test');
    const refusal = await ask(proxy, 'http://site.test/', { authorization: `Basic ${Buffer.from(`${run.snapshot.run_id}:sp_ag_1_wrong`).toString('base64')}` });
    return { answer: String(refusal.status), refusal, proxy, run };
  },
  'the run has 1,000 connections open already': async ({ usual: proxy }) => {
    const run = await createRun(proxy, 'site.test', { channel: 'jail' });
    const place = runSocket(proxy, run.snapshot.short_id);
    const clients = Array.from({ length: 1000 }, () => new RawClient(place));
    await until('all connections', () => clients.every(({ socket }) => !socket.connecting));
    const refusal = await until('a refusal', async () => {
      const answer = await ask(place, 'http://site.test/');
      return answer.code !== 'policy_denied' && answer;
    });
    for (const { socket } of clients) socket.destroy();
    return { answer: String(refusal.status), refusal, proxy, run };
  },

  'the disk of the journal is full': ({ t }) => brokenDisk(t, 'ENOSPC'),
  'the journal cannot be written': ({ t }) => brokenDisk(t, 'EIO'),
  'the journal has reached its bound because nothing of it is sealed': async ({ t }) => {
    const { proxy, host, run } = await own(t, { configuration: { journal_max_bytes: 1024 * 1024 } });
    const fields = Array.from({ length: 90 }, (_, index) => `X-${index}: ${'y'.repeat(80)}`);
    for (;;) {
      const seen = await refused(proxy, run, host, { fields });
      if (seen.answer === '200') continue;
      await until('requests again', async () => proxy.control.sealAll() ?? (await ask(proxy, `http://${host}/`, { authorization: run.authorization })).status === 200);
      return seen;
    }
  },

  'the control plane is away': async ({ t }) => {
    const { proxy, host, run } = await own(t);
    proxy.control.fail = () => { throw new Error('away'); };
    proxy.control.hangUp();
    const answer = await ask(proxy, `http://${host}/`, { authorization: run.authorization });
    t.is(answer.status, 200, answer.body);
    proxy.control.fail = undefined;
    return { answer: 'as usual', proxy, run };
  },
  'the control plane is away and the budget has to be drawn': async ({ t }) => {
    const { proxy, host } = await own(t);
    const run = await createRun(proxy, host, { limits: { requests: 8 } });
    proxy.control.fail = (path) => { if (path.endsWith('/allowances')) throw new Error('away'); };
    const seen = await until('what was held to be used up', async () => {
      const next = await refused(proxy, run, host);
      return next.answer !== '200' && next;
    });
    proxy.control.fail = undefined;
    return seen;
  },
  'the control plane has not been heard for 300 s': async ({ t }) => {
    const { proxy, host, run } = await own(t);
    proxy.control.snapshotMaxAgeMs = 200;
    proxy.control.hangUp();
    await until('the snapshot to expire', async () => (await ask(proxy, `http://${host}/`, { authorization: run.authorization })).status !== 200);
    // The first may have been under way when it expired; this one comes after.
    return await refused(proxy, run, host);
  },
  'the control plane is lost for 300 s in the middle of an answer': async ({ t }) => {
    const proxy = await startProxyWorker(t, { realNames: true });
    const { host, run } = await site(t, proxy, afterHead((socket) => socket.write(`${part}part`)));
    const client = new RawClient(proxy);
    await client.send(head(`http://${host}/`, { authorization: run.authorization })).until('a part', (text) => text.endsWith('part'));
    proxy.control.snapshotMaxAgeMs = 200;
    proxy.control.hangUp();
    await client.ended();
    return { answer: 'closed', proxy, run };
  },

  'no policy has come yet': async ({ t }) => {
    const folder = await temporaryFolder(t);
    const control = await startFakeControlPlane(t, folder);
    control.fail = (path) => { if (path.startsWith('/data-plane/bundles/')) throw new Error('away'); };
    return await withoutPolicy(t, control, folder);
  },
  'the policy that came is broken': async ({ t }) => {
    const folder = await temporaryFolder(t);
    const bundle = await loadBundle(fileURLToPath(new URL('../../policies', import.meta.url)));
    const bytes = Buffer.from(packBundle(bundle));
    bytes[bytes.length - 40]! ^= 1;
    const control = new FakeControlPlane(join(folder, 'api.sock'), { revision: bundle.revision, packed: bytes.toString('utf8') });
    await control.listen();
    t.teardown(() => control.close());
    return await withoutPolicy(t, control, folder);
  },
  'policy cannot be evaluated': () => trap('PURGE'),
  'policy gives an answer that is no decision': () => trap('MKCOL'),
};

test('each row of the table has its test, and each test its row', (t) => {
  t.deepEqual(table.map(({ failure }) => failure).toSorted(), Object.keys(failures).toSorted());
  t.is(new Set(table.map(({ failure }) => failure)).size, table.length);
});

for (const [failure, bring] of Object.entries(failures)) {
  test(`as the table says: ${failure}`, async (t) => {
    const row = table.find((one) => one.failure === failure);
    if (row === undefined) return t.fail('There is no such row.');
    const { answer, refusal, proxy, run } = await bring({ t, usual, brisk, hurried });
    t.is(answer, row.answer, refusal?.body);
    if (refusal !== undefined) {
      const after = /retry-after: (\d+)/i.exec(refusal.head)?.[1];
      t.is(refusal.code, row.code);
      t.is(after === undefined ? retryable(refusal.code) : `after ${after} s`, row.again);
      t.is(refusal.problem.next_steps?.[0], row.told);
      t.true((refusal.problem.detail ?? '').length > 10);
    } else {
      t.is(row.told, '');
    }
    const [type = '', code = row.code] = row.recorded.split(' ');
    const ends = (): readonly Event[] => proxy.control.of(run).filter(isEnd);
    // The first answer of each run is the steady origin's.
    if (type === 'nothing') return t.true(ends().every((event) => event.type === 'egress.completed'));
    const first = type === 'egress.completed' ? 1 : 0;
    await proxy.control.ingested(`the record ${type} ${code}`, () => ends().filter((event) => event.type === type && (event.facts['code'] ?? '') === code).length > first);
    t.is(new Set(ends().map(({ facts }) => facts['egress_id'])).size, ends().length, 'an exchange has two ends');
    if (type === 'egress.failed' && refusal !== undefined) t.is(ends().find((event) => event.type === type)?.payload?.['detail'], refusal.problem.detail);
  });
}

needs('world', 'root')('a disk that is really full: nothing is sent unrecorded, and it goes on once there is room', async (t) => {
  const folder = await temporaryFolder(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'none', folder]);
  t.teardown(() => { execFileSync('umount', ['-l', folder]); });
  const control = await startFakeControlPlane(t, folder);
  const proxy = await startProxyWorker(t, { realNames: true }, { folder, control });
  const { host, run, origin } = await site(t, proxy);
  const get = async (): Promise<Answer> => await ask(proxy, `http://${host}/`, { authorization: run.authorization, fields: [`X-Fill: ${'x'.repeat(250)}`] });
  t.is((await get()).status, 200);
  t.throws(() => writeFileSync(join(folder, 'filler'), Buffer.alloc(2 * 1024 * 1024)), { code: 'ENOSPC' });
  // The page that the journal writes in may hold a few records more.
  const refusal = await until('a refusal', async () => {
    const answer = await get();
    return answer.status !== 200 && answer;
  });
  t.is(refusal.code, 'journal_unavailable');
  const sent = origin.requests.length;
  for (let index = 0; index < 5; index++) t.is((await get()).code, 'journal_unavailable');
  t.is(origin.requests.length, sent);
  rmSync(join(folder, 'filler'));
  await until('requests again', async () => (await get()).status === 200);
  await proxy.control.ingested('all that was sent', () => proxy.control.of(run, 'egress.decided').filter(({ payload }) => (payload as { host: string }).host === host).length === origin.requests.length);
});

function retryable(code: string | undefined): string {
  if (code === undefined || !Object.hasOwn(errorCatalogue, code)) return 'no';
  return errorCatalogue[code as ErrorCode].retryable ? 'yes' : 'no';
}
