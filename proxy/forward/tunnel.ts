import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { toSallyportError } from '../../contracts/errors.ts';
import type { SpendableMeter } from '../../contracts/budget.ts';
import type { DenialCode } from '../denial.ts';
import type { Outcome, Permit } from '../enforce/permit.ts';
import type { Exchange } from '../exchange.ts';
import { catalogueRefusal } from '../refusal.ts';
import { signals } from '../signals.ts';
import type { Watched } from '../wire/sweep.ts';
import type { ForwardContext } from './context.ts';
import { dial, type Dialling } from './dial.ts';
import { upstreamFailure } from './failures.ts';
import { MeteredGate } from './metered-gate.ts';
import { ReadBuffer } from './read-buffer.ts';

interface Side {
  readonly socket: Socket;
  readonly address: string;
  read: (bytes: Buffer) => void;
  /** Someone still needs the bytes that were read last. */
  held: () => boolean;
}

/** One permitted CONNECT: bytes both ways, each direction half-closed by itself, metered to the byte. */
export class Tunnel implements Watched {
  readonly #permit: Permit;
  readonly #exchange: Exchange;
  readonly #context: ForwardContext;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #began: number;
  readonly #out: MeteredGate;
  readonly #in: MeteredGate;
  #dialling: Dialling<Side> | undefined;
  #origin: Socket | undefined;
  #client: Duplex | undefined;
  #address: string | undefined;
  #clientEnded = false;
  #originEnded = false;
  #originError: NodeJS.ErrnoException | undefined;
  #firstByteMs: number | undefined;
  #over = false;
  due = Infinity;

  constructor(permit: Permit, exchange: Exchange, context: ForwardContext, resolve: (outcome: Outcome) => void) {
    this.#permit = permit;
    this.#exchange = exchange;
    this.#context = context;
    this.#resolve = resolve;
    this.#began = context.clock.monotonic();
    const refused = (meter: SpendableMeter): void => { this.#cut('budget_exhausted', meter); };
    this.#out = new MeteredGate(permit.spending, 'bytes_out', {
      pass: (bytes) => { this.#origin!.write(bytes); },
      ready: () => { this.#clientReady(); },
      refused,
    });
    this.#in = new MeteredGate(permit.spending, 'bytes_in', {
      pass: (bytes) => { this.#client!.write(bytes); },
      ready: () => { this.#originReady(); },
      refused,
    });
  }

  start(): void {
    const { clock, limits } = this.#context;
    this.#exchange.transfer.events = { drained: () => { /* No answer is streamed. */ }, gone: () => { this.#finish('failed', 'client_gone'); } };
    if (this.#exchange.transfer.isGone) return this.#finish('failed', 'client_gone');
    if (this.#permit.stop.reason !== undefined) return this.#onStop();
    this.#permit.stop.onStop = this.#onStop;
    this.#dialling = dial(this.#permit, open, clock, limits);
    this.#dialling.connected.then((side) => this.#connected(side)).catch((error: unknown) => {
      const problem = toSallyportError(error);
      if (problem.code === 'internal') signals.fault.publish({ where: 'tunnel', error: problem });
      this.#refuse('failed', problem.code, problem.message);
    });
  }

  #connected(side: Side): void {
    this.#dialling = undefined;
    const origin = side.socket;
    origin.on('error', (error: NodeJS.ErrnoException) => { this.#originError = error; });
    if (this.#over) {
      origin.destroy();
      return;
    }
    this.#origin = origin;
    this.#address = side.address;
    if (!this.#permit.stillValid()) return this.#onStop();
    this.#exchange.transfer.events = undefined;
    const client = this.#exchange.openTunnel();
    this.#client = client;
    this.#touch();
    this.#context.sweep.add(this);

    side.read = (bytes) => {
      this.#touch();
      this.#firstByteMs ??= this.#context.clock.monotonic() - this.#began;
      if (!this.#in.offer(bytes) || client.writableNeedDrain) origin.pause();
    };
    side.held = () => client.writableLength > 0;
    client.on('data', (bytes: Buffer) => {
      this.#touch();
      if (!this.#out.offer(bytes) || origin.writableNeedDrain) client.pause();
    });
    origin.on('drain', () => { this.#clientReady(); });
    client.on('drain', () => { this.#originReady(); });
    client.on('end', () => {
      this.#clientEnded = true;
      this.#clientReady();
    });
    origin.on('end', () => {
      this.#originEnded = true;
      this.#originReady();
    });
    client.on('error', () => { /* 'close' follows. */ });
    client.on('close', () => { this.#closed('client'); });
    origin.on('close', () => { this.#closed('origin'); });
    client.resume();
    origin.resume();
    if (client.destroyed) this.#closed('client');
  }

  #touch(): void {
    this.due = this.#context.sweep.now + this.#context.limits.tunnel_idle_ms;
  }

  /** More of the client's bytes may go, or its end. */
  #clientReady(): void {
    if (this.#over || this.#out.blocked || this.#origin!.writableNeedDrain) return;
    if (this.#clientEnded) this.#origin!.end();
    else this.#client!.resume();
  }

  #originReady(): void {
    if (this.#over || this.#in.blocked || this.#client!.writableNeedDrain) return;
    if (this.#originEnded) this.#client!.end();
    else this.#origin!.resume();
  }

  #closed(who: 'client' | 'origin'): void {
    if (this.#over) return;
    if (this.#clientEnded && this.#originEnded) {
      // The other side may still be writing out what it has.
      if (this.#client!.closed && this.#origin!.closed) this.#finish('completed', undefined);
      return;
    }
    this.#finish('failed', who === 'client' ? 'client_gone' : upstreamFailure(this.#originError, this.#permit.host).code);
    this.#destroy();
  }

  expired(): void {
    this.due = Infinity;
    if (!this.#over) this.#finish('failed', 'upstream_timeout');
    this.#destroy();
  }

  readonly #onStop = (): void => {
    const reason = this.#permit.stop.reason ?? { code: 'run_ended', detail: 'The run ended before the tunnel was opened.' };
    if (this.#client === undefined) return this.#refuse('cut', reason.code, reason.detail);
    this.#finish('cut', reason.code);
    this.#destroy();
  };

  /** What was paid for still goes out, then both sides close. */
  #cut(code: DenialCode, meter: SpendableMeter): void {
    this.#finish('cut', code, meter);
    this.#letGo();
  }

  #letGo(): void {
    this.#context.sweep.add(this);
    this.due = this.#context.sweep.now + this.#context.limits.linger_ms;
    const left = new Set<Duplex>([this.#client!, this.#origin!]);
    for (const side of left) {
      // What still comes is dropped: a reset would take from the other side what it has not read yet.
      side.removeAllListeners('data').resume();
      side.end(() => {
        left.delete(side);
        if (left.size === 0) this.#destroy();
      });
    }
  }

  #destroy(): void {
    this.#context.sweep.remove(this);
    this.#client?.destroy();
    this.#origin?.destroy();
  }

  #refuse(kind: 'failed' | 'cut', code: DenialCode, detail: string): void {
    this.#finish(kind, code);
    this.#origin?.destroy();
    this.#exchange.refuse(catalogueRefusal(code, detail, { egress_id: this.#permit.egress_id }));
  }

  #finish(kind: Outcome['kind'], code: Outcome['code'], meter?: SpendableMeter): void {
    if (this.#over) return;
    this.#over = true;
    this.#exchange.transfer.events = undefined;
    this.#permit.stop.onStop = undefined;
    this.#dialling?.cancel();
    this.#context.sweep.remove(this);
    this.#out.close();
    this.#in.close();
    this.#resolve({
      kind, code,
      status: undefined,
      response_headers: [],
      address: this.#address,
      bytes_out: this.#out.passed,
      bytes_in: this.#in.passed,
      first_byte_ms: this.#firstByteMs,
      duration_ms: this.#context.clock.monotonic() - this.#began,
      ...(meter !== undefined && { meter }),
    });
  }
}

/** A connection whose bytes come by `read`, in a buffer of its own that is used again. */
function open(address: string, port: number): Side {
  const buffer = new ReadBuffer();
  // Node asks for the first buffer before `connect` has returned.
  let side: Side | undefined;
  const socket = connect({
    host: address, port, noDelay: true, autoSelectFamily: false, allowHalfOpen: true,
    onread: {
      buffer: () => buffer.next(side?.held() ?? false),
      callback: (length) => {
        side?.read(buffer.read(length));
        return true;
      },
    },
  });
  side = { address, socket, read: () => { /* Set once the tunnel is open. */ }, held: () => false };
  return side;
}
