import { connect, type Socket } from 'node:net';
import { nowhere } from '../roster.ts';
import { HeadCollector } from '../wire/head-collector.ts';
import { Output } from '../wire/output.ts';
import { ResponseHeads } from '../wire/repeated-head.ts';
import type { Sweep, Watched } from '../wire/sweep.ts';
import type { OriginConnection, OriginTls } from './origin-connection.ts';

/** Who has the connection now. */
export interface UpstreamUser {
  /** Borrowed for the call: all connections read into one buffer. */
  onBytes(bytes: Buffer): void;
  onDrain(): void;
  /** The origin has closed its side in order; `onClose` follows. */
  onEnd(): void;
  onClose(error: NodeJS.ErrnoException | undefined): void;
  onOverdue(): void;
}

/** One for all: what is read is used up before the next read, because reads and their callbacks are synchronous. */
const readBuffer = Buffer.allocUnsafeSlow(65_536);

/** One HTTP/1 connection to an origin, used by one exchange at a time. What an origin says while nobody uses it closes it. */
export class Upstream implements Watched {
  readonly socket: Socket;
  readonly output: Output;
  readonly address: string;
  readonly tls: OriginTls | undefined;
  /** Collects heads of answers. */
  readonly heads = new HeadCollector(false);
  readonly answers = new ResponseHeads();
  readonly #sweep: Sweep;
  #user: UpstreamUser | undefined;
  #error: NodeJS.ErrnoException | undefined;
  /** Exchanges that have used it. */
  uses = 0;
  /** Called when a connection that nobody uses is gone. */
  onIdleClose: (() => void) | undefined;
  due = Infinity;
  place = nowhere;

  /** `address` is what is recorded. What is read has to be given to `read`. */
  constructor(address: string, socket: Socket, sweep: Sweep, tls?: OriginTls) {
    this.address = address;
    this.tls = tls;
    this.#sweep = sweep;
    this.socket = socket;
    this.output = new Output(this.socket);
    this.socket.on('drain', () => this.#user?.onDrain());
    this.socket.on('end', () => { if (this.#user === undefined) this.socket.destroy(); else this.#user.onEnd(); });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= error;
      // After an alert a TLSSocket goes on to its end, as if it were one in order.
      this.socket.destroy();
    });
    this.socket.on('close', () => {
      this.#sweep.remove(this);
      const user = this.#user;
      this.#user = undefined;
      if (user === undefined) this.onIdleClose?.();
      else user.onClose(this.#error);
    });
    sweep.add(this);
  }

  get usable(): boolean {
    return !this.socket.destroyed && this.socket.readable && this.socket.writable;
  }

  /** Takes what comes; replaced while an upstream proxy has not connected yet. */
  read: (bytes: Buffer) => void = (bytes) => {
    // An answer to no question must not become the answer to the next one.
    if (this.#user === undefined) this.socket.destroy();
    else this.#user.onBytes(bytes);
  };

  /** Sets a time-out of `milliseconds` from now. */
  expect(milliseconds: number): void {
    this.due = this.#sweep.now + milliseconds;
  }

  use(user: UpstreamUser): void {
    this.#user = user;
    this.uses++;
    this.onIdleClose = undefined;
  }

  /** Nobody hears of it any more; it stays open. */
  release(): void {
    this.#user = undefined;
  }

  destroy(): void {
    this.#user = undefined;
    this.socket.destroy();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  expired(): void {
    this.due = Infinity;
    if (this.#user === undefined) this.socket.destroy();
    else this.#user.onOverdue();
  }
}

/** Connects in clear text; where an upstream proxy is in between, `to` is there. */
export function openUpstream(address: string, { host, port }: { readonly host: string; readonly port: number }, sweep: Sweep): Upstream {
  const socket = connect({
    host, port, noDelay: true, autoSelectFamily: false,
    onread: {
      buffer: readBuffer,
      callback: (bytes) => {
        upstream.read(bytes === readBuffer.length ? readBuffer : readBuffer.subarray(0, bytes));
        return true;
      },
    },
  });
  const upstream = new Upstream(address, socket, sweep);
  return upstream;
}

/** Speaks HTTP/1 on what is connected already. */
export function upstreamOn({ address, socket, tls }: OriginConnection, sweep: Sweep): Upstream {
  const upstream = new Upstream(address, socket, sweep, tls);
  socket.on('data', (bytes: Buffer) => { upstream.read(bytes); });
  socket.resume();
  return upstream;
}
