import { createSecureServer, createServer, type Http2SecureServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { systemClock } from '../../../../contracts/clock.ts';
import { makePermit, type Outcome } from '../../../../proxy/enforce/permit.ts';
import { Stop } from '../../../../proxy/enforce/stop.ts';
import type { BodySink, ClientEvents, Exchange, Form, Framing, HeaderList, Refusal, RequestHead, ResponseHead, Source, Transfer } from '../../../../proxy/exchange.ts';
import { createForwarder, type Forwarder } from '../../../../proxy/forward/forwarder.ts';
import { forwardLimits, type ForwardLimits } from '../../../../proxy/forward/limits.ts';
import { Sweep } from '../../../../proxy/wire/sweep.ts';
import { frame, preface, settings, types, type Frame } from '../../../helpers/http2-frames.ts';
import type { Lifetime } from '../../../helpers/lifetime.ts';
import type { Issued } from '../../../helpers/test-authority.ts';
import { until, within } from '../../../helpers/wait.ts';
import { TestBudget, type PermitFields } from '../../wire-world.ts';

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly string[];
  readonly framing?: Framing;
  readonly expects_continue?: boolean;
  readonly permit?: Partial<PermitFields>;
  /** Keeps no content: counts it. */
  readonly counts?: boolean;
}

/** A client's stream of HTTP/2 as `forward/` sees it: does what it is told, keeps what it is given. */
export class TestExchange implements Exchange, Transfer {
  readonly source: Source = { kind: 'tcp', remote: '127.0.0.1' };
  readonly form: Form;
  readonly head: RequestHead;
  readonly #counts: boolean;
  events: ClientEvents | undefined;
  isGone = false;
  answered = false;
  sink: BodySink | undefined;
  /** What the last offer of body was answered with, and by `resumeBody`. */
  goes = true;
  sent = 0;
  readonly interims: ResponseHead[] = [];
  answer: ResponseHead | undefined;
  readonly #content: Buffer[] = [];
  received = 0;
  trailers: HeaderList | undefined;
  refusal: Refusal | undefined;
  aborted = false;
  /** Takes no more until `drain`. */
  full = false;

  constructor(authority: string, options: RequestOptions) {
    const framing = options.framing ?? { kind: 'none' };
    this.form = { kind: 'inside', authority, caller: undefined, tls: undefined };
    this.#counts = options.counts ?? false;
    this.head = {
      method: options.method ?? 'GET', target: options.path ?? '/', version: '2', framing, expects_continue: options.expects_continue ?? false, upgrade: undefined,
      headers: ['host', authority, ...(framing.kind === 'length' ? ['content-length', String(framing.bytes)] : []), ...(options.headers ?? [])],
    };
  }

  get transfer(): Transfer { return this; }
  get gone(): AbortSignal { return new AbortController().signal; }
  get text(): string { return Buffer.concat(this.#content).toString('latin1'); }

  refuse(refusal: Refusal): void { this.refusal ??= refusal; }
  openTunnel(): Duplex { throw new Error('No tunnel.'); }
  switchTo(): Duplex { throw new Error('No switch.'); }
  readBody(sink: BodySink): void { this.sink = sink; }
  resumeBody(): void { this.goes = true; }
  interim(head: ResponseHead): void { this.interims.push(head); }
  begin(head: ResponseHead): void {
    this.answered = true;
    this.answer = head;
  }
  write(bytes: Buffer): void {
    this.received += bytes.length;
    if (!this.#counts) this.#content.push(Buffer.from(bytes));
  }
  flush(): boolean { return !this.full; }
  end(trailers: HeaderList): void { this.trailers = trailers; }
  abort(): void { this.aborted = true; }

  drain(): void {
    this.full = false;
    this.events?.drained();
  }

  leave(): void {
    this.isGone = true;
    this.events?.gone();
  }

  /** Offers a part of the body once there is room. */
  async send(bytes: Buffer | string): Promise<void> {
    await until('someone to take the body', () => this.sink !== undefined && this.goes);
    const piece = Buffer.from(bytes);
    this.sent += piece.length;
    this.goes = this.sink!.data(piece);
  }

  async finish(trailers: HeaderList = []): Promise<void> {
    await until('someone to take the end of the body', () => this.sink !== undefined && this.goes);
    this.sink!.end(trailers);
  }
}

export interface Running {
  readonly client: TestExchange;
  readonly stop: Stop;
  readonly budget: TestBudget;
  readonly outcome: Promise<Outcome>;
}

export interface Http2World {
  readonly forwarder: Forwarder;
  readonly limits: ForwardLimits;
  readonly sweep: Sweep;
  /** Starts an exchange with the origin at `port`. */
  readonly start: (port: number, options?: RequestOptions) => Running;
}

/** `forward/` alone, on loopback. */
export function startHttp2World(lifetime: Lifetime, options: { readonly forward?: Partial<ForwardLimits>; readonly upstreamCa?: string } = {}): Http2World {
  const sweep = new Sweep(systemClock);
  const limits = { ...forwardLimits, ...options.forward };
  const forwarder = createForwarder({ clock: systemClock, sweep, limits, upstreamCa: options.upstreamCa });
  lifetime.teardown(() => {
    forwarder.close();
    sweep.close();
  });
  return {
    forwarder, limits, sweep,
    start: (port, request = {}) => {
      const authority = `origin.test:${port}`;
      const client = new TestExchange(authority, request);
      const stop = new Stop();
      const budget = new TestBudget();
      const permit = makePermit({
        egress_id: 'egr_test', run_id: 'run_test', kind: 'http', scheme: 'http', host: 'origin.test', port, authority, method: client.head.method, target: client.head.target, raw: false,
        upgrade: undefined, addresses: [{ address: '127.0.0.1', family: 4, address_class: 'loopback' }], pool_key: `run_test ${authority}`, spending: budget, stop,
        stillValid: () => stop.reason === undefined, anotherTry: () => Promise.resolve(true), ...request.permit,
      });
      return { client, stop, budget, outcome: within(`the outcome of ${client.head.target}`, forwarder.forward(permit, client)) };
    },
  };
}

export type OnStream = (stream: ServerHttp2Stream, fields: readonly string[], session: number) => void;

export interface NodeOrigin {
  readonly port: number;
  readonly server: Http2Server | Http2SecureServer;
  readonly sessions: ServerHttp2Session[];
}

/** A real origin; inside TLS with `issued`, else in clear text. */
export async function startHttp2Origin(lifetime: Lifetime, onStream: OnStream, options: { readonly issued?: Issued; readonly settings?: { readonly maxConcurrentStreams?: number; readonly initialWindowSize?: number } } = {}): Promise<NodeOrigin> {
  const sessions: ServerHttp2Session[] = [];
  const common = { ...(options.settings !== undefined && { settings: options.settings }) };
  const server = options.issued === undefined ? createServer(common) : createSecureServer({ ...common, key: options.issued.key, cert: options.issued.cert, allowHTTP1: false });
  server.on('session', (session: ServerHttp2Session) => {
    sessions.push(session);
    session.on('error', nothing);
    session.on('stream', (stream: ServerHttp2Stream, _headers: unknown, _flags: number, raw: string[]) => {
      stream.on('error', nothing);
      onStream(stream, raw, sessions.indexOf(session));
    });
  });
  server.on('sessionError', nothing);
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  lifetime.teardown(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server, sessions };
}

/** An origin of raw frames: keeps those that came, sends whatever it is told. */
export class RawPeer {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  #held: Buffer = Buffer.alloc(0);
  #begun = false;
  closed = false;

  constructor(socket: Socket, onFrame: (peer: RawPeer, frame: Frame) => void) {
    this.socket = socket;
    socket.on('error', nothing);
    socket.on('close', () => { this.closed = true; });
    socket.on('data', (bytes: Buffer) => {
      this.#held = Buffer.concat([this.#held, bytes]);
      if (!this.#begun) {
        if (this.#held.length < preface.length) return;
        this.#begun = true;
        this.#held = this.#held.subarray(preface.length);
      }
      while (this.#held.length >= 9) {
        const length = this.#held.readUIntBE(0, 3);
        if (this.#held.length < 9 + length) break;
        const one: Frame = { type: this.#held[3]!, flag: this.#held[4]!, stream: this.#held.readUInt32BE(5), payload: this.#held.subarray(9, 9 + length) };
        this.#held = this.#held.subarray(9 + length);
        this.frames.push(one);
        onFrame(this, one);
      }
    });
  }

  send(...pieces: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(pieces));
  }

  async sees(what: string, wanted: (frame: Frame) => boolean): Promise<Frame> {
    return await until(what, () => this.frames.find(wanted));
  }

  resetOf(stream: number): number | undefined {
    return this.frames.find((one) => one.type === types.rst_stream && one.stream === stream)?.payload.readUInt32BE(0);
  }
}

export interface RawOrigin {
  readonly port: number;
  readonly peers: RawPeer[];
}

/** Calls `onRequest` with the number of each stream whose head came. Begins with `first`, which is SETTINGS of nothing unless given; inside TLS with `issued`. */
export async function startRawOrigin(lifetime: Lifetime, onRequest: (peer: RawPeer, stream: number, connection: number) => void, first: Buffer = settings(), issued?: Issued): Promise<RawOrigin> {
  const peers: RawPeer[] = [];
  const accept = (socket: Socket): void => {
    const connection = peers.length;
    const peer = new RawPeer(socket, (_peer, one) => {
      if (one.type === types.settings && (one.flag & 1) === 0 && first.length > 0) peer.send(frame(types.settings, 1, 0));
      if (one.type === types.headers) onRequest(peer, one.stream, connection);
    });
    peers.push(peer);
    peer.send(first);
  };
  const server = issued === undefined ? createTcpServer({ noDelay: true }, accept) : createTlsServer({ key: issued.key, cert: issued.cert, ALPNProtocols: ['h2'] }, accept);
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  lifetime.teardown(() => {
    for (const { socket } of peers) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, peers };
}

function nothing(): void { /* What follows from it is what is tested. */ }
