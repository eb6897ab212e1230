import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '../../contracts/clock.ts';
import type { SpendableMeter } from '../../contracts/budget.ts';
import { ConnectionCaps } from '../../proxy/accept/caps.ts';
import { acceptLimits, type AcceptLimits } from '../../proxy/accept/limits.ts';
import { createListener, type Listener, type ListenerSource } from '../../proxy/accept/listener.ts';
import type { Handler } from '../../proxy/accept/connection-options.ts';
import { makePermit, type Outcome, type Permit, type Spending } from '../../proxy/enforce/permit.ts';
import { Stop } from '../../proxy/enforce/stop.ts';
import type { Exchange } from '../../proxy/exchange.ts';
import { createForwarder, type Forwarder } from '../../proxy/forward/forwarder.ts';
import { forwardLimits, type ForwardLimits } from '../../proxy/forward/limits.ts';
import { Sweep } from '../../proxy/wire/sweep.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { until } from '../helpers/wait.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of buffers that this process, and so the proxy in it, really holds. */
export function heldBytes(): number {
  // Buffers are freed beside the collection that found them dead.
  for (let count = 0; count < 3; count++) collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

/** A raw peer: says what it is told to, keeps all it hears. */
export class Peer {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => { this.#chunks.push(bytes); });
    socket.on('end', () => { this.ended = true; });
    socket.on('close', () => { this.closed = true; });
    socket.on('error', (error) => { this.error = error; });
  }

  get bytes(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  forget(): void {
    this.#chunks = [];
  }

  send(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** Waits until what was heard contains or matches `what`. */
  async hears(what: string | RegExp, deadline?: number): Promise<string> {
    await until(`${String(what)} in ${JSON.stringify(this.text.slice(0, 2000))}`, () => (typeof what === 'string' ? this.text.includes(what) : what.test(this.text)), deadline)
      .catch((error: unknown) => { throw new Error(`${String(error)}\nheard: ${JSON.stringify(this.text.slice(0, 2000))} ended=${this.ended} closed=${this.closed}`, { cause: error }); });
    return this.text;
  }

  async ends(deadline?: number): Promise<string> {
    await until('the end of the connection', () => this.ended || this.closed, deadline);
    return this.text;
  }
}

export interface Origin {
  readonly port: number;
  readonly peers: Peer[];
  /** Waits for connection number `index`, from 0. */
  readonly peer: (index: number) => Promise<Peer>;
}

export async function startOrigin(lifetime: Lifetime, onPeer: (peer: Peer, index: number) => void = () => { /* Keeps silent. */ }, options: { readonly allowHalfOpen?: boolean; readonly tls?: TlsOptions } = {}): Promise<Origin> {
  const peers: Peer[] = [];
  const onSocket = (socket: Socket): void => {
    const peer = new Peer(socket);
    peers.push(peer);
    onPeer(peer, peers.length - 1);
  };
  const accepted = { allowHalfOpen: options.allowHalfOpen ?? true, noDelay: true };
  const server = options.tls === undefined ? createServer(accepted, onSocket) : createTlsServer({ ...accepted, ...options.tls }, onSocket);
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  lifetime.teardown(() => {
    for (const peer of peers) peer.socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    peers,
    peer: async (index) => {
      await until(`connection ${index} at the origin`, () => peers.length > index);
      return peers[index]!;
    },
  };
}

/** Calls `answer` for each request head (and nothing of its body) that the peer hears. */
export function onHeads(peer: Peer, answer: (head: string, count: number) => void): void {
  let text = '';
  let count = 0;
  peer.socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
      const head = text.slice(0, end + 4);
      text = text.slice(end + 4);
      answer(head, count++);
    }
  });
}

/** Budgets of a test: what is missing here is unlimited. `granted` may be raised while a stream waits. */
export class TestBudget implements Spending {
  readonly left: Partial<Record<SpendableMeter, number>>;
  readonly spent: Record<SpendableMeter, number> = { requests: 0, bytes_out: 0, bytes_in: 0 };
  readonly asked: SpendableMeter[] = [];
  readonly #waiting: { readonly meter: SpendableMeter; readonly resolve: (more: boolean) => void }[] = [];
  /** Whether those who ask for more wait for `grant`; otherwise they are refused. */
  readonly #patient: boolean;

  constructor(left: Partial<Record<SpendableMeter, number>> = {}, patient: boolean = false) {
    this.left = left;
    this.#patient = patient;
  }

  readonly take = (meter: SpendableMeter, units: number): number => {
    const left = this.left[meter];
    const taken = left === undefined ? units : Math.min(units, left);
    if (left !== undefined) this.left[meter] = left - taken;
    this.spent[meter] += taken;
    return taken;
  };

  readonly giveBack = (meter: SpendableMeter, units: number): void => {
    const left = this.left[meter];
    if (left !== undefined) this.left[meter] = left + units;
    this.spent[meter] -= units;
  };

  readonly more = (meter: SpendableMeter, _units: number): Promise<boolean> => {
    this.asked.push(meter);
    if (!this.#patient) return Promise.resolve((this.left[meter] ?? 1) > 0);
    return new Promise((resolve) => { this.#waiting.push({ meter, resolve }); });
  };

  grant(meter: SpendableMeter, units: number): void {
    this.left[meter] = (this.left[meter] ?? 0) + units;
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(true);
  }
}

export type PermitFields = Parameters<typeof makePermit>[0];

/** A permit for whatever the exchange names, on loopback. */
export function permitFor(exchange: Exchange, fields: Partial<PermitFields> = {}): Permit {
  const { target, method } = exchange.head;
  const authority = exchange.form.kind === 'connect' ? target : exchange.form.kind === 'inside' ? exchange.form.authority : new URL(target).host;
  const port = Number(authority.split(':')[1] ?? 80);
  const path = exchange.form.kind === 'absolute' ? target.slice(target.indexOf('/', 7)) : target;
  return makePermit({
    egress_id: 'egr_test', run_id: 'run_test', kind: exchange.form.kind === 'connect' ? 'tunnel' : 'http',
    scheme: 'http', host: 'origin.test', port, authority: `origin.test:${port}`, method, target: path, raw: true, upgrade: undefined,
    addresses: [{ address: '127.0.0.1', family: 4, address_class: 'loopback' }],
    pool_key: `run_test ${authority}`, spending: new TestBudget(), stop: new Stop(),
    stillValid: () => true, anotherTry: () => Promise.resolve(true), ...fields,
  });
}

export interface WireProxyOptions {
  readonly accept?: Partial<AcceptLimits>;
  readonly forward?: Partial<ForwardLimits>;
  /** Authorities of origins, in PEM. */
  readonly upstreamCa?: string;
  readonly source?: ListenerSource;
  readonly permit?: (exchange: Exchange) => Partial<PermitFields> | Promise<Partial<PermitFields>>;
  /** Instead of forwarding everything. */
  readonly handler?: (exchange: Exchange, forward: Forwarder['forward']) => Promise<void>;
}

export interface WireProxy {
  readonly port: number;
  readonly listener: Listener;
  readonly limits: AcceptLimits;
  readonly sweep: Sweep;
  readonly outcomes: Outcome[];
  readonly exchanges: Exchange[];
  readonly connect: (allowHalfOpen?: boolean) => Promise<Peer>;
  readonly outcome: (index: number) => Promise<Outcome>;
}

/** `accept/` and `forward/` with nothing between but a permit for everything. */
export async function startWireProxy(lifetime: Lifetime, options: WireProxyOptions = {}): Promise<WireProxy> {
  const clock = systemClock;
  const sweep = new Sweep(clock);
  const limits = { ...acceptLimits, ...options.accept };
  const forwarder = createForwarder({ clock, sweep, limits: { ...forwardLimits, ...options.forward }, upstreamCa: options.upstreamCa });
  const outcomes: Outcome[] = [];
  const exchanges: Exchange[] = [];
  const forward: Forwarder['forward'] = async (permit, exchange) => {
    const outcome = await forwarder.forward(permit, exchange);
    outcomes.push(outcome);
    return outcome;
  };
  const handler: Handler = async (exchange) => {
    exchanges.push(exchange);
    if (options.handler !== undefined) return options.handler(exchange, forward);
    await forward(permitFor(exchange, await options.permit?.(exchange)), exchange);
  };
  const listener = await createListener(options.source ?? { kind: 'tcp' }, { listen: { host: '127.0.0.1', port: 0 }, clock, caps: new ConnectionCaps(limits), sweep, limits }, handler);
  const { port } = listener.address as { readonly port: number };
  const peers: Peer[] = [];
  lifetime.teardown(async () => {
    for (const peer of peers) peer.socket.destroy();
    forwarder.close();
    await listener.stop(50);
    sweep.close();
  });
  return {
    port, listener, limits, sweep, outcomes, exchanges,
    connect: async (allowHalfOpen = true) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen });
      const peer = new Peer(socket);
      peers.push(peer);
      await new Promise<void>((resolve, reject) => { socket.once('connect', resolve).once('error', reject); });
      return peer;
    },
    outcome: async (index) => {
      await until(`outcome ${index}`, () => outcomes.length > index);
      return outcomes[index]!;
    },
  };
}
