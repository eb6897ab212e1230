import { constants, performServerHandshake, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Form, RequestHead } from '../../exchange.ts';
import { catalogueRefusal } from '../../refusal.ts';
import { nowhere } from '../../roster.ts';
import { keepSessionFor } from '../../wire/http2-handles.ts';
import type { Watched } from '../../wire/sweep.ts';
import type { ConnectionOptions, Handler } from '../connection-options.ts';
import { classify } from '../forms.ts';
import { Allowance } from './allowance.ts';
import { Http2ClientExchange, type Http2Host } from './exchange.ts';
import { judgeHttp2Request, listSize } from './head.ts';
import { recordedAs } from '../refused.ts';

export interface Http2Options extends ConnectionOptions {
  readonly inside: Extract<Form, { kind: 'inside' }>;
}

/** Streams of one connection that the client may have open. */
const streamsMax = 128;
/** The same and those that are closed while something is still at work on them. */
const handledMax = 256;
const headBytes = 65_536;
/** Fields of a head as nghttp2 counts them; each cookie may be one. */
const pairsMax = 256;
const hpackTableBytes = 4096;
/** What a client may send of one body before somebody reads it. */
const streamWindow = 65_535;
/** Of all bodies together: nobody has to wait for a window that others have filled. */
const connectionWindow = 1_048_576;
/** Room for what all streams of a client that reads nothing may hold: each 128 KiB of an answer and a window of a body. Beyond it new ones are refused. */
const sessionMegabytes = 32;
/** Streams that end without their whole answer: clients that cancel. */
const wasteLimits = { burst: 256, per_second: 64 } as const;
/** Who goes on in spite of `rate_limited`: 150 connections of 250 such requests each held all runs up for 3 s. */
const wasteOfPressed = 16;
/** Octets that carry neither content nor a head. */
const overheadLimits = { burst: 262_144, per_second: 65_536 } as const;
/** Frames about frames that content may bring with it: its own head, WINDOW_UPDATE for stream and connection, PING with its answer. */
const overheadOfContent = 96;
/** A frame that somebody reads, however small; of others so many octets of content bring one about themselves. */
const overheadOfFrame = 16;
const contentOfOverhead = 8;
/** And a request: SETTINGS, PRIORITY, RST_STREAM. */
const overheadOfHead = 256;

const sessionOptions = {
  settings: {
    headerTableSize: hpackTableBytes, maxConcurrentStreams: streamsMax, initialWindowSize: streamWindow, maxHeaderListSize: headBytes,
    enablePush: false, enableConnectProtocol: false,
  },
  maxDeflateDynamicTableSize: hpackTableBytes,
  maxHeaderListPairs: pairsMax,
  maxSessionMemory: sessionMegabytes,
  maxReservedRemoteStreams: 0,
  // Origins repeat fields that Node would have once, and HTTP/1 passes them on.
  strictSingleValueFields: false,
} as const;

/** One client's HTTP/2 connection: each of its streams becomes an exchange. */
class Http2Connection implements Watched, Http2Host {
  readonly #stream: Duplex;
  readonly #options: Http2Options;
  readonly #handler: Handler;
  readonly #scheme: 'http' | 'https';
  readonly #session: Http2Session;
  readonly #open = new Set<Http2ClientExchange>();
  readonly #wasted: Allowance;
  readonly #overhead: Allowance;
  /** Octets read, of a stream that does not count them itself. */
  #counted = 0;
  /** The same at the last look. */
  #read = 0;
  /** Octets that something was got from since the last look. */
  #useful = 0;
  #settled = false;
  #lastStream = 0;
  /** When it was last good for something, in the time of the sweep. */
  #active: number;
  #headSince: number | undefined;
  #stopsAt: number | undefined;
  #closing: number | undefined;
  /** Every look. */
  readonly due = 0;
  place = nowhere;

  constructor(stream: Duplex, options: Http2Options, handler: Handler) {
    this.#stream = stream;
    this.#options = options;
    this.#handler = handler;
    this.#scheme = options.inside.tls === undefined ? 'http' : 'https';
    const { sweep } = options;
    this.#active = sweep.now;
    this.#wasted = new Allowance(wasteLimits, sweep.now);
    this.#overhead = new Allowance(overheadLimits, sweep.now);
    sweep.add(this);
    // A client that closes its side is gone (decisions/0012), and what it asked for is not wanted any more.
    stream.on('error', ignore).on('end', () => { stream.destroy(); }).on('close', () => { sweep.remove(this); });
    if (!(stream instanceof Socket)) stream.on('data', (bytes: Buffer) => { this.#counted += bytes.length; });
    const session = this.#session = performServerHandshake(stream, sessionOptions);
    // A TLSSocket that no `tls.Server` has made never says that its handshake is over, and Node's session waits to hear it.
    if (session.connecting) stream.emit('secureConnect');
    session.setLocalWindowSize(connectionWindow);
    session.once('remoteSettings', () => {
      this.#settled = true;
      this.#active = sweep.now;
    });
    session.on('stream', this.#onStream);
    session.on('error', ignore);
  }

  get now(): number { return this.#options.sweep.now; }
  get drained_bytes(): number { return this.#options.limits.drained_bytes; }
  get linger_ms(): number { return this.#options.limits.linger_ms; }
  get idle_ms(): number { return this.#options.limits.idle_ms; }

  gave(bytes: number): void {
    this.#useful += bytes + overheadOfContent;
  }

  took(): void {
    this.#useful += overheadOfFrame;
  }

  pressed(): void {
    this.#waste(wasteOfPressed);
  }

  closed(exchange: Http2ClientExchange, wasted: boolean): void {
    this.#count(exchange);
    this.#leave(exchange);
    if (wasted) this.#waste();
  }

  /** What came of its body since it was looked at. */
  #count(exchange: Http2ClientExchange): void {
    const { arrived } = exchange;
    if (arrived > exchange.counted) this.#useful += (arrived - exchange.counted) * (1 + 1 / contentOfOverhead);
    exchange.counted = arrived;
  }

  #leave(exchange: Http2ClientExchange): void {
    if (exchange.over && this.#open.delete(exchange)) this.#active = this.now;
  }

  #waste(amount: number = 1): void {
    if (!this.#wasted.take(amount, this.now)) this.#calm();
  }

  /**
   * GOAWAY after a moment: what is under way gets its answers, and of a request that crosses it the client knows that nobody has looked at
   * it (RFC 9113, section 6.8). A moment, because a request may be on its way, and because Java's HttpClient (until 17.0.17 and 24) drops answers that
   * it has not read to their end when GOAWAY comes (JDK-8335181): a refusal with GOAWAY right behind it would not be seen.
   */
  stop(): void {
    this.#stopsAt ??= this.now + this.#options.limits.stop_idle_ms;
  }

  #calm(): void {
    this.#session.destroy(new Error('the client costs more than it may'), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  readonly #onStream = (stream: ServerHttp2Stream, _headers: unknown, flags: number, raw: string[]): void => {
    const { source, inside } = this.#options;
    keepSessionFor(stream);
    this.#lastStream = stream.id ?? this.#lastStream;
    this.#useful += listSize(raw) + overheadOfHead;
    if (stream.destroyed || this.#open.size >= handledMax) {
      stream.on('error', ignore);
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return this.#waste();
    }
    const judged = judgeHttp2Request(raw, this.#scheme, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    const head = judged.kind === 'request' ? judged.head : undefined;
    const form = judged.kind === 'request' ? classify(judged.head, inside) : judged;
    const exchange = new Http2ClientExchange(this, stream, source, inside, head ?? unreadable);
    this.#open.add(exchange);
    if (form.kind !== 'bad' && form.kind !== 'refused') return void this.#handle(exchange);
    const { code, detail } = form;
    const recorded = recordedAs(this.#options, { code, detail }, head);
    exchange.refuse(catalogueRefusal(code, detail, recorded));
    exchange.settle();
    // Its run makes more of them than are recorded.
    if (this.#options.onRefused !== undefined && recorded.egress_id === undefined) this.pressed();
  };

  async #handle(exchange: Http2ClientExchange): Promise<void> {
    try {
      await this.#handler(exchange);
      exchange.settle();
    } catch (error) {
      exchange.settle(error);
    }
    this.#leave(exchange);
  }

  /** Called at every look of the sweep. */
  expired(): void {
    const { now } = this;
    const session = this.#session;
    if (session.destroyed || (session.closed && this.#open.size === 0)) {
      // Node waits for ever for a client that does not read.
      this.#closing ??= now + this.linger_ms;
      if (now >= this.#closing) this.#stream.destroy();
      return;
    }
    for (const exchange of this.#open) {
      this.#count(exchange);
      exchange.look();
      if (exchange.due <= now && !exchange.overdue()) return void this.#stream.destroy();
    }
    if (this.#stopsAt !== undefined && now >= this.#stopsAt) session.close();
    const read = this.#stream instanceof Socket ? this.#stream.bytesRead : this.#counted;
    const overhead = read - this.#read - this.#useful;
    this.#read = read;
    this.#useful = 0;
    if (!this.#overhead.take(Math.max(0, overhead), now)) return this.#calm();
    if (this.#open.size > 0) return;
    const { head_ms, idle_ms } = this.#options.limits;
    // nghttp2 tells of a head when it is whole. One that it has refused by itself looks the same from here, and costs a pause at most.
    this.#headSince = (session.state.lastProcStreamID ?? 0) > this.#lastStream ? this.#headSince ?? now : undefined;
    if (this.#headSince !== undefined && now - this.#headSince >= head_ms) return this.#calm();
    if (now - this.#active >= (this.#settled ? idle_ms : head_ms)) session.close();
  }
}

/** Stands for a head that can't be read: refusals are JSON, and it has no body that would be waited for. */
const unreadable: RequestHead = { method: '', target: '', version: '2', headers: [], framing: { kind: 'none' }, expects_continue: false, upgrade: undefined };

/** Serves HTTP/2 on a connection (its bytes, preface included, still in it) until one of the sides ends it; `stop` lets no more requests come. */
export function acceptHttp2(stream: Duplex, options: Http2Options, handler: Handler): { stop(): void } {
  return new Http2Connection(stream, options, handler);
}

function ignore(): void { /* 'close' follows. */ }
