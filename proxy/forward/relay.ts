import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SpendableMeter } from '../../contracts/budget.ts';
import { judgeFirstBytes, missingFirstBytes, type FirstBytes } from '../describe/first-bytes.ts';
import type { DenialCode } from '../denial.ts';
import type { Outcome, Permit } from '../enforce/permit.ts';
import type { ResponseHead } from '../exchange.ts';
import { nowhere } from '../roster.ts';
import { freeRead } from '../wire/buffer-pool.ts';
import type { Watched } from '../wire/sweep.ts';
import type { ForwardContext } from './context.ts';
import { upstreamFailure } from './failures.ts';
import { MeteredGate, type GateUser } from './metered-gate.ts';
import type { OriginTls } from './origin-connection.ts';

/** A connection to an origin whose bytes come by `read`; theirs to use again once nobody holds them. */
export interface OriginSide {
  readonly socket: Socket;
  readonly address: string;
  read: (bytes: Buffer) => void;
  /** Someone still needs the bytes that were read last. */
  held: () => boolean;
}

/** How an exchange became a tunnel that did not begin as one. */
interface Switched {
  readonly head: ResponseHead;
  /** What has passed so far, and goes on counting. */
  readonly gate: MeteredGate;
  readonly bytes_out: number;
  readonly first_byte_ms: number;
  readonly tls: OriginTls | undefined;
}

/** One direction. */
class Way implements GateUser {
  readonly #relay: Relay;
  readonly #from: Duplex;
  readonly #to: Duplex;
  readonly gate: MeteredGate;
  /** What is read is nobody else's, and never read into again. */
  readonly #fresh: boolean;
  ended = false;

  constructor(relay: Relay, from: Duplex, to: Duplex, gate: MeteredGate, fresh: boolean) {
    this.#relay = relay;
    this.#from = from;
    this.#to = to;
    this.gate = gate;
    this.#fresh = fresh;
    gate.user = this;
  }

  offer(bytes: Buffer): void {
    if (!this.gate.offer(bytes) || this.#to.writableNeedDrain) this.#from.pause();
  }

  pass(bytes: Buffer): void {
    if (this.#fresh) this.#to.write(bytes, () => { freeRead(bytes); });
    else this.#to.write(bytes);
  }

  /** More may go, or the end. */
  ready(): void {
    if (this.#relay.over || this.gate.blocked || this.#to.writableNeedDrain) return;
    if (!this.ended) this.#from.resume();
    // Closing says all that is left to say, without a system call for the end of this direction.
    else if (this.#relay.ended && this.#to.writableLength === 0) this.#to.destroy();
    else this.#to.end();
  }

  end(): void {
    this.ended = true;
    this.ready();
  }

  refused(meter: SpendableMeter): void {
    this.#relay.refused(meter);
  }
}

/** Bytes both ways between a client and an origin, each direction closed by itself, metered to the byte. */
export class Relay implements Watched {
  readonly #permit: Permit;
  readonly #context: ForwardContext;
  readonly #client: Duplex;
  readonly #origin: OriginSide;
  readonly #began: number;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #switched: Switched | undefined;
  readonly #out: Way;
  readonly #in: Way;
  /** The client's first bytes, held until they are judged; undefined once they were. */
  #first: Buffer | undefined;
  #needed = 0;
  /** What the origin said before. */
  #early: Buffer | undefined;
  #originError: NodeJS.ErrnoException | undefined;
  #firstByteMs: number | undefined;
  over = false;
  due = Infinity;
  place = nowhere;

  /** `began`: when the permit was taken, in the time of the clock's `monotonic`. Without `switched` the first bytes are judged. */
  constructor(permit: Permit, context: ForwardContext, client: Duplex, origin: OriginSide, began: number, resolve: (outcome: Outcome) => void, switched?: Switched) {
    this.#permit = permit;
    this.#context = context;
    this.#client = client;
    this.#origin = origin;
    this.#began = began;
    this.#resolve = resolve;
    this.#switched = switched;
    this.#first = switched === undefined ? Buffer.alloc(0) : undefined;
    this.#firstByteMs = switched?.first_byte_ms;
    this.#out = new Way(this, client, origin.socket, new MeteredGate(permit.spending, 'bytes_out'), true);
    this.#in = new Way(this, origin.socket, client, switched?.gate ?? new MeteredGate(permit.spending, 'bytes_in'), false);
  }

  start(): void {
    const { sweep, limits } = this.#context;
    const client = this.#client;
    const { socket } = this.#origin;
    this.#permit.stop.onStop = () => { this.#end('cut', this.#permit.stop.reason!.code, this.#permit.stop.reason!.detail); };
    this.#origin.held = () => client.writableLength > 0;
    this.#origin.read = (bytes) => {
      // An upstream proxy may have passed some on with its answer.
      if (this.#first !== undefined && !this.#permit.raw) {
        this.#early = Buffer.from(bytes);
        return;
      }
      this.#touch();
      this.#firstByteMs ??= this.#context.clock.monotonic() - this.#began;
      this.#in.offer(bytes);
    };
    client.on('data', (bytes: Buffer) => {
      if (this.#first !== undefined) return this.#look(bytes);
      this.#touch();
      this.#out.offer(bytes);
    });
    client.on('drain', () => { this.#in.ready(); });
    client.on('end', () => { this.#clientEnded(); });
    client.on('error', ignore);
    client.on('close', () => { this.#closed('client'); });
    socket.on('drain', () => { this.#out.ready(); });
    socket.on('end', () => { this.#in.end(); });
    socket.on('error', (error: NodeJS.ErrnoException) => { this.#originError = error; });
    socket.on('close', () => { this.#closed('origin'); });
    this.#touch();
    sweep.add(this);
    if (this.#first === undefined || this.#permit.raw) {
      this.#in.ready();
    } else {
      // What the origin says first may have been asked for by nobody we know yet.
      socket.pause();
      this.due = sweep.now + limits.first_bytes_ms;
    }
    this.#out.ready();
    if (client.destroyed) this.#closed('client');
  }

  /** Both sides have said all that they will. */
  get ended(): boolean {
    return this.#out.ended && this.#in.ended;
  }

  #touch(): void {
    this.due = this.#context.sweep.now + this.#context.limits.tunnel_idle_ms;
  }

  #look(bytes: Buffer): void {
    const held = this.#first!;
    if (held.length === 0) this.due = this.#context.sweep.now + this.#context.limits.first_bytes_ms;
    const first = this.#first = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    if (first.length < this.#needed) return;
    const judged = judgeFirstBytes(first, this.#permit.host, this.#permit.raw);
    if (judged.kind === 'more') this.#needed = judged.needed;
    else if (judged.kind === 'refused') this.#refuse(judged);
    else this.#looked(first);
  }

  #looked(first: Buffer): void {
    this.#first = undefined;
    this.#touch();
    this.#in.ready();
    if (this.#early !== undefined) this.#origin.read(this.#early);
    this.#early = undefined;
    if (first.length > 0) this.#out.offer(first);
  }

  #clientEnded(): void {
    if (this.over) return;
    const first = this.#first;
    if (first !== undefined) {
      if (first.length > 0) return this.#refuse(missingFirstBytes(true));
      if (!this.#permit.raw) return this.#end('failed', 'client_gone');
      this.#looked(first);
    }
    this.#out.end();
  }

  /** Nothing went to the origin. Who speaks TLS is told in its words. */
  #refuse({ code, detail, alert }: Extract<FirstBytes, { kind: 'refused' }>): void {
    this.#finish('cut', code, detail);
    this.#origin.socket.destroy();
    if (alert !== undefined) this.#client.write(Buffer.from([21, 3, 3, 0, 2, 2, alert]));
    this.#letGo([this.#client]);
  }

  #closed(who: 'client' | 'origin'): void {
    if (this.over) return;
    if (this.ended) {
      // The other side may still be writing out what it has.
      if (this.#client.closed && this.#origin.socket.closed) this.#finish('completed', undefined);
      return;
    }
    this.#end('failed', who === 'client' ? 'client_gone' : upstreamFailure(this.#originError, this.#permit.host).code);
  }

  expired(): void {
    this.due = Infinity;
    if (!this.over && this.#first !== undefined && (!this.#permit.raw || this.#first.length > 0)) return this.#refuse(missingFirstBytes(this.#first.length > 0));
    this.#end('failed', 'upstream_timeout');
  }

  /** What was paid for still goes out, then both sides close. */
  refused(meter: SpendableMeter): void {
    this.#finish('cut', 'budget_exhausted', undefined, meter);
    this.#letGo([this.#client, this.#origin.socket]);
  }

  #letGo(sides: readonly Duplex[]): void {
    const { sweep, limits } = this.#context;
    sweep.add(this);
    this.due = sweep.now + limits.linger_ms;
    const left = new Set(sides);
    for (const side of sides) {
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
    this.#client.destroy();
    this.#origin.socket.destroy();
  }

  #end(kind: 'failed' | 'cut', code: DenialCode | 'client_gone', detail?: string): void {
    this.#finish(kind, code, detail);
    this.#destroy();
  }

  #finish(kind: Outcome['kind'], code: Outcome['code'], detail?: string, meter?: SpendableMeter): void {
    if (this.over) return;
    this.over = true;
    this.#first = undefined;
    this.#permit.stop.onStop = undefined;
    this.#context.sweep.remove(this);
    this.#out.gate.close();
    this.#in.gate.close();
    const head = this.#switched?.head;
    this.#resolve({
      kind, code,
      status: head?.status,
      response_headers: head?.headers ?? [],
      address: this.#origin.address,
      bytes_out: (this.#switched?.bytes_out ?? 0) + this.#out.gate.passed,
      bytes_in: this.#in.gate.passed,
      first_byte_ms: this.#firstByteMs,
      duration_ms: this.#context.clock.monotonic() - this.#began,
      ...(this.#switched !== undefined && { http_version: '1.1' }),
      ...(this.#switched?.tls !== undefined && { tls: this.#switched.tls }),
      ...(meter !== undefined && { meter }),
      ...(detail !== undefined && { detail }),
    });
  }
}

function ignore(): void { /* 'close' follows. */ }
