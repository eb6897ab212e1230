import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { SallyportError } from '../../../contracts/errors.ts';
import type { PermittedAddress } from '../../enforce/permit.ts';
import { nowhere } from '../../roster.ts';
import { keepSessionFor } from '../../wire/http2-handles.ts';
import type { Sweep, Watched } from '../../wire/sweep.ts';
import type { ForwardLimits } from '../limits.ts';
import type { OriginConnection, OriginTls } from '../origin-connection.ts';

/** How often a session is looked at, in milliseconds. */
const lookMs = 1_000;
/** Bytes of frames that carry nothing, beyond what carried something explains: at once, and in the long run between two looks (some 28,000 empty ones). */
const overheadBytes = 4 * 1_048_576;
const overheadByLook = 262_144;
/** A quarter of what a write may bring back, TLS included. */
const overheadOfWrite = 40;
/** SETTINGS and PING between two looks. gRPC servers ping once a round trip while an upload grows their window. */
const settingsFrames = 100;
const pingFrames = 10_000;
/** Megabytes of nghttp2's own: streams, header tables, what waits to be sent. Beyond it streams are refused. */
const memoryMegabytes = 32;
/** Heads are at most 64 KiB as lines; HPACK may need some bytes more. */
const headBlockBytes = 131_072;

const sessionOptions = {
  maxSessionMemory: memoryMegabytes,
  maxSendHeaderBlockLength: headBlockBytes,
  // What was judged is passed on, a field that should be there once included.
  strictSingleValueFields: false,
} as const;

interface SessionHost {
  /** A stream is free, or none will be any more. */
  changed(session: OriginSession): void;
}

/** One HTTP/2 connection to an origin: how many streams it takes, and whether it behaves. */
export class OriginSession implements Watched {
  readonly address: string;
  readonly tls: OriginTls | undefined;
  readonly #where: string;
  readonly #connection: OriginConnection;
  readonly #session: ClientHttp2Session;
  readonly #sweep: Sweep;
  readonly #limits: ForwardLimits;
  readonly #host: SessionHost;
  /** One until the origin's SETTINGS are here: it may allow no more. */
  #maximum = 1;
  #settled = false;
  #retired = false;
  #streams = 0;
  /** Streams that it has had. */
  uses = 0;
  /** When it began, and since when nobody uses it, in the time of the sweep. */
  readonly #began: number;
  #since: number;
  /** Since when it is to be closed, with nothing on it. */
  #leaving: number | undefined;
  #seen: number;
  #overhead = 0;
  #carried = 0;
  #settingsFrames = 0;
  #pingFrames = 0;
  #error: NodeJS.ErrnoException | undefined;
  due: number;
  place = nowhere;

  constructor(connection: OriginConnection, where: string, { sweep, limits }: { readonly sweep: Sweep; readonly limits: ForwardLimits }, host: SessionHost) {
    const { socket } = connection;
    this.address = connection.address;
    this.tls = connection.tls;
    this.#where = where;
    this.#connection = connection;
    this.#sweep = sweep;
    this.#limits = limits;
    this.#host = host;
    this.#began = this.#since = sweep.now;
    this.#seen = socket.bytesRead;
    this.due = sweep.now + lookMs;
    const session = this.#session = connect(connection.tls === undefined ? 'http://origin' : 'https://origin', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: limits.stream_window_bytes, maxHeaderListSize: 65_536 },
      ...sessionOptions,
    });
    session.on('error', (error: NodeJS.ErrnoException) => { this.#error ??= error; });
    session.on('close', () => { this.#gone(); });
    session.on('goaway', () => { this.#retire(); });
    session.on('remoteSettings', ({ maxConcurrentStreams }) => {
      if (++this.#settingsFrames > settingsFrames) return this.#fault('SETTINGS');
      this.#settled = true;
      this.#maximum = Math.min(maxConcurrentStreams ?? Infinity, limits.session_streams);
      host.changed(this);
    });
    session.on('ping', () => { if (++this.#pingFrames > pingFrames) this.#fault('PING'); });
    session.on('stream', (stream) => {
      stream.on('error', ignore);
      stream.close();
    });
    if (!session.connecting) session.setLocalWindowSize(limits.session_window_bytes);
    sweep.add(this);
  }

  get hasRoom(): boolean {
    return this.usable && this.#streams < this.#maximum;
  }

  /** Whether a stream may be opened now for someone who may go to `addresses`. */
  takes(addresses: readonly PermittedAddress[]): boolean {
    return this.hasRoom && addresses.some(({ address }) => address === this.address);
  }

  get usable(): boolean {
    return !this.#retired && !this.#session.closed && !this.#session.destroyed;
  }

  /** Another connection to the origin would not help, or not yet. */
  get promising(): boolean {
    return this.usable && (!this.#settled || this.#maximum === 0);
  }

  get idle(): boolean {
    return this.#streams === 0;
  }

  get destroyed(): boolean {
    return this.#session.destroyed;
  }

  /** What ended it, if that is known. */
  get error(): NodeJS.ErrnoException | undefined {
    return this.#error;
  }

  /** Keeps a stream for someone, who opens it or gives it back. */
  reserve(): void {
    this.#streams++;
    this.uses++;
  }

  release(): void {
    this.#streams--;
    if (this.#streams === 0) this.#since = this.#sweep.now;
    this.#host.changed(this);
  }

  /** A stream that was reserved; it is given back when it closes. `ended`: there is no body. */
  open(fields: string[], ended: boolean): ClientHttp2Stream {
    // A stream that waits for trailers can be cut: without, Node ends its body in order before it resets it, and the origin takes a part for all.
    const stream = this.#session.request(fields, { endStream: ended, waitForTrailers: !ended });
    keepSessionFor(stream);
    stream.once('close', () => { this.release(); });
    return stream;
  }

  /** For a piece of an upload an origin may send WINDOW_UPDATE twice and PING. */
  wrote(): void {
    this.#carried += overheadOfWrite;
  }

  /** Bytes that carried something. */
  carried(bytes: number): void {
    this.#carried += bytes;
  }

  /** What was on its way on a stream that was cut explains as much. */
  cut(): void {
    this.#carried += this.#limits.stream_window_bytes;
  }

  /** Opens no more streams: nothing was heard where something should have been. */
  retire(): void {
    this.#retire();
    if (!this.#session.destroyed) this.#session.close();
  }

  destroy(): void {
    this.#retire();
    this.#session.destroy();
  }

  #retire(): void {
    this.#retired = true;
    this.#host.changed(this);
  }

  #gone(): void {
    this.#sweep.remove(this);
    this.#connection.socket.destroy();
    this.#retire();
  }

  #fault(of: string): void {
    this.#end(new SallyportError('upstream_protocol', `${this.#where} floods the connection with frames of HTTP/2 that carry nothing (${of}).`));
  }

  #end(error: SallyportError): void {
    this.#error ??= error;
    this.#retired = true;
    // Not within nghttp2, which would go on with what it has read, for streams that Node has forgotten.
    setImmediate(() => { this.#session.destroy(error); });
  }

  expired(): void {
    const { now } = this.#sweep;
    this.due = now + lookMs;
    const read = this.#connection.socket.bytesRead;
    // TLS and the heads of small frames may weigh more than what they carry.
    this.#overhead = Math.max(0, this.#overhead + read - this.#seen - 4 * this.#carried - overheadByLook);
    this.#seen = read;
    this.#carried = this.#settingsFrames = this.#pingFrames = 0;
    if (this.#overhead > overheadBytes) return this.#fault('of any kind');
    if (!this.#settled && now - this.#began > this.#limits.connect_ms) {
      return this.#end(new SallyportError('upstream_timeout', `${this.#where} took the connection, but did not begin to speak HTTP/2 within ${this.#limits.connect_ms} ms.`));
    }
    if (this.#streams > 0) return;
    if (this.#session.closed || this.#session.destroyed) {
      // Node waits for ever for the other side to close as well, or to take what is left to be written.
      this.#leaving ??= now;
      if (now - this.#leaving >= this.#limits.linger_ms) this.#connection.socket.destroy();
    } else if (now - this.#since > this.#limits.pooled_ms) {
      this.retire();
    }
  }
}

function ignore(): void { /* 'close' follows. */ }
