import type { Duplex } from 'node:stream';
import { toSallyportError } from '../../contracts/errors.ts';
import type { BodySink, ClientEvents, Exchange, Form, HeaderList, Refusal, RequestHead, ResponseHead, Source, Transfer } from '../exchange.ts';
import { catalogueRefusal } from '../refusal.ts';
import { chunkEnd, chunkStart, lastChunk } from '../wire/body.ts';
import type { Output } from '../wire/output.ts';
import { serialiseResponse, takesTrailers } from '../wire/serialise.ts';
import { acceptsJson, serialiseRefusal } from './refusal.ts';

/** Where the request's body stands: `waiting` until someone reads it, `broken` when its framing is. */
export type BodyState = 'waiting' | 'reading' | 'done' | 'broken';

/** What an exchange asks of the HTTP/1 connection that it came on. */
export interface ExchangeHost {
  readonly output: Output;
  readonly bodyState: BodyState;
  /** The client may send another request, and nobody wants the connection closed. */
  readonly keepsAlive: boolean;
  /** What is left of the body is known to be small enough to be read and dropped. */
  readonly restIsSmall: boolean;
  /** The client has sent more than this request. */
  readonly hasMore: boolean;
  startBody(sink: BodySink): void;
  resumeBody(): void;
  /** The answer is written whole. */
  answered(close: boolean): void;
  /** `framed`: the client can tell by the framing that the answer is cut. */
  abort(framed: boolean): void;
  /** Writes the answer; from then on the stream is the caller's. */
  openTunnel(answer: string): Duplex;
}

/** One request on an HTTP/1 connection, and the writer of its answer. */
export class ClientExchange implements Exchange, Transfer {
  readonly source: Source;
  readonly form: Form;
  readonly head: RequestHead;
  readonly #host: ExchangeHost;
  #controller: AbortController | undefined;
  /** Content that is to become one chunk. */
  #content: Buffer[] | undefined;
  #contentLength = 0;
  #continued = false;
  #bodiless = false;
  #chunked = false;
  #close = false;
  #tunnelled = false;
  #finished = false;
  events: ClientEvents | undefined;
  isGone = false;
  answered = false;

  constructor(host: ExchangeHost, source: Source, form: Form, head: RequestHead) {
    this.#host = host;
    this.source = source;
    this.form = form;
    this.head = head;
  }

  get transfer(): Transfer {
    return this;
  }

  /** Made when first asked for: most exchanges never need one. */
  get gone(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.isGone) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** Clients may send what belongs into a tunnel before they know that there is none. */
  get #mayBecomeTunnel(): boolean {
    return this.head.method === 'CONNECT' || this.head.upgrade !== undefined;
  }

  refuse(refusal: Refusal): void {
    if (this.answered || this.#tunnelled || this.isGone) return;
    this.answered = true;
    const body = this.#host.bodyState;
    // A client that waits for 100 may send its body after a refusal or not: what comes next could not be told apart.
    const waits = this.head.expects_continue && !this.#continued;
    const usable = body === 'done' || (body !== 'broken' && !waits && this.#host.restIsSmall);
    // Bytes of the tunnel may be on their way, and must not be read as requests (RFC 9110, section 9.3.6). Who is asked for credentials
    // comes again on this connection (Java, apt, Chromium), unless such bytes are here already.
    const early = this.#mayBecomeTunnel && (refusal.status !== 407 || this.#host.hasMore);
    const close = !this.#host.keepsAlive || !usable || early;
    this.#host.output.bytes(serialiseRefusal(refusal, { json: acceptsJson(this.head.headers), close, head: this.head.method === 'HEAD' }));
    this.#finish(close);
  }

  openTunnel(): Duplex {
    this.#tunnelled = true;
    return this.#host.openTunnel('HTTP/1.1 200 Connection Established\r\n\r\n');
  }

  switchTo(head: ResponseHead, protocol: string): Duplex {
    this.#tunnelled = true;
    return this.#host.openTunnel(serialiseResponse(head, { chunked: false, trailers: false, close: false, upgrade: protocol }));
  }

  readBody(sink: BodySink): void {
    if (this.head.expects_continue && !this.#continued && !this.answered) {
      this.#continued = true;
      this.#host.output.text('HTTP/1.1 100 Continue\r\n\r\n');
      this.#host.output.flush();
    }
    this.#host.startBody(sink);
  }

  resumeBody(): void {
    this.#host.resumeBody();
  }

  interim(head: ResponseHead): void {
    if (this.answered || this.isGone || this.head.version === '1.0') return;
    this.#host.output.text(serialiseResponse(head, { chunked: false, trailers: false, close: false }));
  }

  begin(head: ResponseHead): void {
    this.answered = true;
    const unframed = head.framing.kind === 'chunked' || head.framing.kind === 'until_close';
    this.#bodiless = head.framing.kind === 'none';
    this.#chunked = unframed && this.head.version === '1.1';
    // An answer before the end of the upload: the client may stop sending anywhere, so the connection ends with the answer.
    this.#close = !this.#host.keepsAlive || this.#host.bodyState !== 'done' || (unframed && !this.#chunked) || this.#mayBecomeTunnel;
    this.#host.output.text(serialiseResponse(head, { chunked: this.#chunked, trailers: this.#chunked && takesTrailers(this.head.headers), close: this.#close }));
  }

  write(bytes: Buffer): void {
    if (this.#bodiless || bytes.length === 0) return;
    if (!this.#chunked) return this.#host.output.bytes(bytes);
    (this.#content ??= []).push(bytes);
    this.#contentLength += bytes.length;
  }

  flush(): boolean {
    this.#gather();
    return this.#host.output.flush();
  }

  /** All content since the last flush becomes one chunk. */
  #gather(): void {
    if (this.#content === undefined) return;
    const { output } = this.#host;
    output.text(chunkStart(this.#contentLength));
    for (const piece of this.#content) output.bytes(piece);
    output.text(chunkEnd);
    this.#content = undefined;
    this.#contentLength = 0;
  }

  end(trailers: HeaderList): void {
    if (this.#finished || this.isGone) return;
    this.#gather();
    if (this.#chunked) this.#host.output.text(lastChunk(takesTrailers(this.head.headers) ? trailers : []));
    this.#finish(this.#close);
  }

  #finish(close: boolean): void {
    this.#finished = true;
    this.#host.output.flush();
    this.#host.answered(close);
  }

  abort(): void {
    if (this.#finished || this.isGone) return;
    this.#finished = true;
    this.#gather();
    this.#host.output.flush();
    this.#host.abort(this.answered && (this.#chunked || this.#bodiless || !this.#close));
  }

  /** The client went away before it had its answer. */
  clientGone(): void {
    if (this.#finished || this.isGone) return;
    this.isGone = true;
    this.#controller?.abort();
    this.events?.gone();
  }

  drained(): void {
    this.events?.drained();
  }

  /** The handler is through: an exchange that nobody answered is refused, whatever went wrong. */
  settle(error?: unknown): void {
    if (this.#tunnelled || this.#finished) return;
    if (this.answered) {
      this.abort();
      return;
    }
    const { code, message } = toSallyportError(error ?? new Error('the exchange was left unanswered'));
    this.refuse(catalogueRefusal(code, message));
  }
}
