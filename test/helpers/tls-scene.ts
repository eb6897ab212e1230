import test from 'ava';
import { once } from 'node:events';
import { connect as connectHttp2, createSecureServer, type ClientHttp2Session, type Http2ServerRequest, type Http2ServerResponse, type OutgoingHttpHeaders } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createConnection, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type ConnectionOptions, type TlsOptions, type TLSSocket } from 'node:tls';
import { readTrusted } from '../../proxy/intercept/authority/authorities.ts';
import type { FakeRun, FakeRunOptions } from './fake-control-plane.ts';
import { fileLifetime, type Lifetime } from './lifetime.ts';
import { head, loopback, RawClient, runSocket, startProxyWorker, type ProxyWorker, type ProxyWorkerOptions } from './proxy-worker.ts';
import { TestAuthority } from './test-authority.ts';
import { within } from './wait.ts';

export interface SeenInTls {
  readonly version: string;
  readonly method: string;
  readonly target: string;
  /** `:authority`, or `Host`. */
  readonly authority: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly handshake: Handshake;
}

/** One agreement on TLS with whoever connected. */
export interface Handshake {
  readonly servername: string | false;
  readonly resumed: boolean;
  readonly protocol: string | false | null;
  readonly from: number;
}

export interface TlsOrigin {
  readonly port: number;
  /** TCP connections that came. */
  readonly opened: number;
  readonly handshakes: readonly Handshake[];
  readonly requests: readonly SeenInTls[];
}

export interface TlsOriginOptions {
  readonly tls: TlsOptions;
  readonly respond?: (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse) => void;
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** A web server in TLS on loopback that speaks both versions of HTTP, and writes down what it saw. */
export async function startTlsOrigin(lifetime: Lifetime, { tls, respond, upgrade }: TlsOriginOptions): Promise<TlsOrigin> {
  const requests: SeenInTls[] = [];
  const handshakes: Handshake[] = [];
  const sockets = new Set<Socket>();
  const server = createSecureServer({ allowHTTP1: true, ...tls });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => { /* 'close' says it. */ });
  });
  server.on('secureConnection', (socket: TLSSocket & { readonly servername?: string | false }) => {
    handshakes.push({ servername: socket.servername ?? false, resumed: socket.isSessionReused(), protocol: socket.alpnProtocol, from: socket.remotePort ?? 0 });
  });
  server.on('tlsClientError', () => { /* The other side's to tell. */ });
  server.on('sessionError', () => { /* The proxy may cut it. */ });
  server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    const { httpVersion, method, url, headers } = request;
    const from = request.socket.remotePort;
    requests.push({ version: httpVersion, method, target: url, authority: headers[':authority'] ?? headers.host, headers, handshake: handshakes.find((one) => one.from === from)! });
    for (const stream of [request, response]) stream.on('error', () => { /* The proxy may cut it. */ });
    if (respond === undefined) response.end('hello\n');
    else respond(request, response);
  });
  if (upgrade !== undefined) server.on('upgrade', upgrade);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  lifetime.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, requests, handshakes, get opened() { return sockets.size; } };
}

/**
 * A whole worker that ends TLS, and one origin that is `site.test` and `other.test` at once, as a front for many sites is: only the
 * defence under test stands between the two.
 */
export interface TlsScene {
  readonly proxy: ProxyWorker;
  readonly authority: TestAuthority;
  readonly site: TlsOrigin;
}

const shared = ['site.test', 'other.test'] as const;

export interface TlsSceneOptions extends ProxyWorkerOptions {
  readonly respond?: TlsOriginOptions['respond'];
  readonly upgrade?: TlsOriginOptions['upgrade'];
  /** Of the origin, beside its certificate. */
  readonly tls?: TlsOptions;
}

/** A scene for a whole file, made before its first test. */
export function fileTlsScene({ respond, upgrade, tls, ...options }: TlsSceneOptions = {}): () => TlsScene {
  const lifetime = fileLifetime();
  let scene: TlsScene | undefined;
  test.before('build the scene', async () => {
    const authority = await TestAuthority.make(lifetime);
    const certificate = authority.issue({ names: [...shared.map((name) => `DNS:${name}`), 'IP:127.0.0.1'] });
    const site = await startTlsOrigin(lifetime, { tls: { ...certificate, ...tls }, ...(respond !== undefined && { respond }), ...(upgrade !== undefined && { upgrade }) });
    const proxy = await startProxyWorker(lifetime, {
      ...options, names: { ...Object.fromEntries(shared.map((name) => [name, ['127.0.0.1']])), ...options.names },
      configuration: { upstream_ca: authority.cert, ...options.configuration },
    });
    scene = { proxy, authority, site };
  });
  return () => scene!;
}

/** A run that is looked into, and may do anything at these hosts (`site.test`) of the origin. */
export async function lookedInto({ proxy, site }: TlsScene, { hosts = ['site.test'], port = site.port, policy, ...options }: FakeRunOptions & { readonly hosts?: readonly string[]; readonly port?: number } = {}): Promise<FakeRun> {
  const run = proxy.control.createRun({ allow: hosts.map((host) => ({ host, ports: [port], methods: ['*'] })), policy: { ...loopback, intercept: true, ...policy }, ...options });
  await proxy.control.acknowledgedAll();
  return run;
}

/** What is answered to a CONNECT, and the connection behind it. */
export async function connectTo({ proxy }: Pick<TlsScene, 'proxy'>, run: FakeRun, authority: string): Promise<{ readonly status: number; readonly text: string; readonly socket: Socket }> {
  const jailed = run.snapshot.channel === 'jail';
  const place = jailed ? runSocket(proxy, run.snapshot.short_id) : proxy;
  const socket = 'port' in place ? createConnection(place.port, '127.0.0.1') : createConnection(place.path);
  socket.on('error', () => { /* 'close' says it. */ });
  socket.write(head(authority, { method: 'CONNECT', ...(!jailed && { authorization: run.authorization }) }), 'latin1');
  const bytes = await within('an answer to CONNECT', new Promise<Buffer>((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('close', () => { reject(new Error('Closed without an answer to CONNECT.')); });
  }));
  socket.pause();
  const text = bytes.toString('latin1');
  return { status: Number(text.slice(9, 12)), text, socket };
}

export async function openTunnel(scene: TlsScene, run: FakeRun, authority: string = `site.test:${scene.site.port}`): Promise<Socket> {
  const { status, text, socket } = await connectTo(scene, run, authority);
  if (status !== 200) throw new Error(`CONNECT was refused: ${text}`);
  return socket;
}

export interface InsideOptions extends ConnectionOptions {
  /** Of the CONNECT. */
  readonly to?: string;
}

/** TLS through a tunnel, trusting the installation alone. `problem` is why there is none. */
export async function tryTls(scene: Pick<TlsScene, 'proxy'>, socket: Socket, options: ConnectionOptions = {}): Promise<{ readonly secure: TLSSocket; readonly problem: NodeJS.ErrnoException | undefined }> {
  const secure = connect({ socket, servername: 'site.test', ca: readTrusted(scene.proxy.folder), ...options });
  let problem: NodeJS.ErrnoException | undefined;
  secure.on('error', (error) => { problem ??= error; });
  await within('TLS inside the tunnel, or its end', new Promise<void>((resolve) => {
    secure.once('secureConnect', resolve);
    secure.once('close', () => {
      problem ??= new Error('Closed before TLS was agreed on.');
      resolve();
    });
  }));
  return { secure, problem };
}

export async function secureTunnel(scene: TlsScene, run: FakeRun, { to, ...options }: InsideOptions = {}): Promise<TLSSocket> {
  const { secure, problem } = await tryTls(scene, await openTunnel(scene, run, to), options);
  if (problem !== undefined) throw problem;
  return secure;
}

/** HTTP/1.1 inside TLS inside a CONNECT. */
export async function insideHttp1(lifetime: Lifetime, scene: TlsScene, run: FakeRun, options: InsideOptions = {}): Promise<RawClient> {
  const client = new RawClient(await secureTunnel(scene, run, { ALPNProtocols: ['http/1.1'], ...options }));
  lifetime.teardown(() => client.socket.destroy());
  return client;
}

/** HTTP/2 in the same place. */
export async function insideHttp2(lifetime: Lifetime, scene: TlsScene, run: FakeRun, options: InsideOptions = {}): Promise<ClientHttp2Session> {
  const secure = await secureTunnel(scene, run, { ALPNProtocols: ['h2'], ...options });
  if (secure.alpnProtocol !== 'h2') throw new Error('HTTP/2 was not agreed on.');
  const session = connectHttp2(`https://${options.to ?? `site.test:${scene.site.port}`}`, { createConnection: () => secure });
  session.on('error', () => { /* Each stream tells. */ });
  lifetime.teardown(() => { session.destroy(); });
  return session;
}

export interface Http2Answer {
  readonly status: number | undefined;
  readonly body: string;
  /** Of a problem document. */
  readonly code: string | undefined;
  /** Error code of the stream: 0 for one that came to its end. */
  readonly reset: number;
}

/** One request on a stream of its own, to its end. */
export async function askHttp2(session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, body?: string): Promise<Http2Answer> {
  const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined });
  let status: number | undefined;
  let text = '';
  stream.on('response', (fields) => { status = fields[':status']; });
  stream.on('error', () => { /* `reset` says it. */ });
  stream.setEncoding('latin1').on('data', (piece: string) => { text += piece; });
  if (body !== undefined) stream.end(body);
  await within('the end of a stream', new Promise<void>((resolve) => { stream.once('close', resolve); }));
  const code = text.startsWith('{') ? (JSON.parse(text) as { readonly code?: string }).code : undefined;
  return { status, body: text, code, reset: stream.rstCode ?? 0 };
}

/** Codes of what was refused to a run, in order. */
export const refusedTo = ({ proxy }: TlsScene, run: FakeRun): readonly unknown[] => proxy.control.of(run, 'egress.denied').map(({ facts }) => facts['code']);

/** Waits until so many refusals of a run are recorded, and gives their codes. */
export async function recordedRefusals(scene: TlsScene, run: FakeRun, count: number): Promise<readonly unknown[]> {
  await scene.proxy.control.ingested(`${count} refusals`, () => refusedTo(scene, run).length >= count);
  return refusedTo(scene, run);
}
