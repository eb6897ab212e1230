import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { SallyportError, toSallyportError } from '../../../contracts/errors.ts';
import type { BodySink, ClientEvents, Exchange, Form, HeaderList, Refusal, RequestHead, ResponseHead, Source, Transfer } from '../../exchange.ts';
import { catalogueRefusal } from '../../refusal.ts';
import { borrowBuffer, giveBackBuffer, pooledBytes } from '../../wire/buffer-pool.ts';
import { valuesByName } from '../../wire/fields.ts';
import { judgeTrailers } from '../../wire/head-rules.ts';
import { endToEndFields } from '../../wire/serialise.ts';
import { answerFields, isBodilessStatus, refusalAnswer } from './answer.ts';
import { hasCleanValues } from './head.ts';

/** What an exchange asks of the HTTP/2 connection that it came on. */
export interface Http2Host {
  /** So many octets of an answer were given to the stream. */
  gave(bytes: number): void;
  /** A piece of a body was read. */
  took(): void;
  /** It was refused because its run asks for too much. */
  pressed(): void;
  /** The stream is closed. `wasted`: before its answer was whole. */
  closed(exchange: Http2ClientExchange, wasted: boolean): void;
  /** In the time of the sweep. */
  readonly now: number;
  readonly drained_bytes: number;
  readonly linger_ms: number;
  readonly idle_ms: number;
}

/** From here on content is copied into a buffer that is used again. */
const pooledFrom = 16_384;

/** Node would add a date to what the origin says. */
const ours = { sendDate: false } as const;

/** One stream of an HTTP/2 connection, and the writer of its answer. */
export class Http2ClientExchange implements Exchange, Transfer {
  readonly source: Source;
  readonly form: Form;
  readonly head: RequestHead;
  readonly #host: Http2Host;
  readonly #stream: ServerHttp2Stream;
  #controller: AbortController | undefined;
  #content: Buffer[] = [];
  #contentLength = 0;
  #continued = false;
  #bodiless = false;
  #hasTrailers = false;
  #trailers: HeaderList = [];
  /** Trailers of the request: they may be here before anybody reads its body. */
  #came: HeaderList = [];
  #sink: BodySink | undefined;
  #bodyEnded = false;
  #delivered = 0;
  /** Octets of the rest of the body that are still read and dropped. */
  #dropped = 0;
  #finished = false;
  /** All of the answer is with nghttp2: RST_STREAM can't overtake its end. */
  #written = false;
  #givesUp = false;
  #handled = false;
  events: ClientEvents | undefined;
  isGone = false;
  answered = false;
  /** The connection's: of `arrived`, what it has counted. */
  counted = 0;
  /** When the client has had its time for what is left; looked at by the connection. */
  due = Infinity;

  constructor(host: Http2Host, stream: ServerHttp2Stream, source: Source, form: Form, head: RequestHead) {
    this.#host = host;
    this.#stream = stream;
    this.source = source;
    this.form = form;
    this.head = head;
    this.#bodyEnded = head.framing.kind === 'none';
    if (!this.#bodyEnded) stream.once('trailers', (_headers, _flags, raw: string[]) => { this.#came = raw; });
    stream.on('aborted', this.#onAway).on('close', this.#onClose).on('drain', () => { this.events?.drained(); });
    // Whatever went wrong, 'close' follows and says all that matters.
    stream.on('error', ignore);
  }

  get transfer(): Transfer { return this; }

  /** Octets of the request's body that came, read or not. */
  get arrived(): number { return this.#delivered + this.#stream.readableLength; }

  /** Nothing of it is under way any more. */
  get over(): boolean { return this.#handled && this.#stream.destroyed; }

  /** Made when first asked for: most exchanges never need one. */
  get gone(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.isGone) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  get #usable(): boolean { return !this.isGone && !this.#stream.destroyed && !this.#stream.closed; }

  refuse(refusal: Refusal): void {
    if (this.answered || !this.#usable) return;
    this.answered = true;
    const { fields, body } = refusalAnswer(refusal, this.head);
    this.#stream.respond(fields, { ...ours, endStream: body === undefined });
    if (body !== undefined) this.#stream.end(body);
    this.#finish(this.#host.linger_ms);
    if (refusal.code === 'rate_limited') this.#host.pressed();
  }

  openTunnel(): Duplex {
    throw new SallyportError('internal', 'A stream of HTTP/2 is no tunnel.');
  }

  switchTo(): Duplex {
    throw new SallyportError('internal', 'A stream of HTTP/2 does not switch protocols.');
  }

  readBody(sink: BodySink): void {
    if (this.#sink !== undefined || this.#finished || !this.#usable) return;
    if (this.head.expects_continue && !this.#continued && !this.answered) {
      this.#continued = true;
      this.#stream.additionalHeaders({ ':status': 100 });
    }
    this.#sink = sink;
    this.#stream.on('end', () => {
      // One that was reset ends as well, and 'aborted' does not say so of HEAD, whose answer Node has ended from the start.
      if (this.#finished || this.isGone || this.#stream.closed || this.#bodyEnded) return;
      this.#bodyEnded = true;
      const trailers = hasCleanValues(this.#came) ? judgeTrailers(this.#came) : 'a trailer has control characters';
      if (typeof trailers === 'string') sink.fail(`The body can't be read one way only: ${trailers}.`);
      else sink.end(trailers);
    });
    this.#stream.on('data', (bytes: Buffer) => {
      this.#delivered += bytes.length;
      this.#host.took();
      if (this.#finished) this.#drop(bytes.length);
      else if (!this.isGone && !sink.data(bytes)) this.#stream.pause();
    });
  }

  resumeBody(): void {
    if (!this.#finished) this.#stream.resume();
  }

  interim(head: ResponseHead): void {
    if (this.answered || !this.#usable) return;
    this.#stream.additionalHeaders(valuesByName(answerFields(head)));
  }

  begin(head: ResponseHead): void {
    this.answered = true;
    if (!this.#usable) return;
    this.#bodiless = head.framing.kind === 'none' || isBodilessStatus(head.status) || this.head.method === 'HEAD';
    // A length that HTTP/1 has stated leaves no room for trailers.
    const waitForTrailers = !this.#bodiless && (head.framing.kind !== 'length' || head.version === '2');
    if (waitForTrailers) {
      this.#hasTrailers = true;
      this.#stream.on('wantTrailers', () => {
        try {
          this.#stream.sendTrailers(valuesByName(this.#trailers));
        } catch {
          // Node checks what we have checked; should it ever be stricter, that is one answer's end and not the worker's.
          return this.#close(constants.NGHTTP2_INTERNAL_ERROR);
        }
        // Node gives them to nghttp2 in an immediate of its own.
        setImmediate(this.#onWritten);
      });
    }
    this.#stream.respond(answerFields(head), { ...ours, endStream: this.#bodiless, waitForTrailers });
  }

  write(bytes: Buffer): void {
    if (this.#bodiless || bytes.length === 0) return;
    this.#content.push(bytes);
    this.#contentLength += bytes.length;
  }

  flush(): boolean {
    if (!this.#usable) {
      this.#content = [];
      this.#contentLength = 0;
      return true;
    }
    if (this.#contentLength > 0) this.#send();
    return !this.#stream.writableNeedDrain;
  }

  #send(): void {
    const length = this.#contentLength;
    const pooled = length >= pooledFrom && length <= pooledBytes ? borrowBuffer() : undefined;
    const joined = pooled?.subarray(0, length) ?? Buffer.allocUnsafe(length);
    let at = 0;
    for (const piece of this.#content) at += piece.copy(joined, at);
    this.#content = [];
    this.#contentLength = 0;
    this.#host.gave(length);
    // After an error nobody knows who still holds it.
    this.#stream.write(joined, (error) => { if (pooled !== undefined && error == null) giveBackBuffer(pooled); });
  }

  end(trailers: HeaderList): void {
    if (this.#finished || !this.#usable) return;
    if (this.#contentLength > 0) this.#send();
    this.#trailers = endToEndFields(trailers);
    if (!this.#bodiless) this.#stream.end();
    this.#finish(this.#host.idle_ms);
  }

  /** All of the answer is given; the client has `patience_ms` to take it. What it still sends is dropped for a while, as it may not know yet. */
  #finish(patience_ms: number): void {
    this.#finished = true;
    const stream = this.#stream;
    this.due = this.#host.now + patience_ms;
    if (!this.#hasTrailers) {
      if (stream.writableFinished) this.#onWritten();
      else stream.once('finish', this.#onWritten);
    }
    if (this.#bodyEnded) return;
    const { framing, expects_continue } = this.head;
    if ((framing.kind === 'length' && framing.bytes > this.#host.drained_bytes) || (expects_continue && !this.#continued)) return this.#giveUp();
    if (this.#sink === undefined) stream.on('data', (bytes: Buffer) => { this.#drop(bytes.length); }).on('end', () => { this.#bodyEnded = true; });
    stream.resume();
  }

  readonly #onWritten = (): void => {
    this.#written = true;
    if (this.#givesUp) this.#close(constants.NGHTTP2_NO_ERROR);
    else if (!this.#bodyEnded) this.due = Math.min(this.due, this.#host.now + this.#host.linger_ms);
  };

  #drop(bytes: number): void {
    if (this.#sink === undefined) this.#delivered += bytes;
    this.#dropped += bytes;
    if (this.#dropped > this.#host.drained_bytes) this.#giveUp();
  }

  /** The answer is complete without the rest of the request (RFC 9113, section 8.1). */
  #giveUp(): void {
    this.#givesUp = true;
    this.#stream.pause();
    if (this.#written) this.#close(constants.NGHTTP2_NO_ERROR);
  }

  /** Called now and then: of a reset with NO_ERROR Node says nothing while there is a body to be read and the answer can't go on, as with HEAD. */
  look(): void {
    if (this.#stream.closed) this.#onAway();
  }

  /** What the client had time for is over; false when not even its reset can be sent. */
  overdue(): boolean {
    if (this.#stream.closed) return false;
    this.#close(this.#written ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
    return true;
  }

  #close(code: number): void {
    this.due = this.#host.now + this.#host.linger_ms;
    this.#stream.close(code);
    // Node keeps a stream that has something left to be read.
    this.#stream.resume();
  }

  abort(): void {
    if (this.#finished || !this.#usable) return;
    this.#finished = true;
    if (this.#contentLength > 0) this.#send();
    this.#close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  readonly #onAway = (): void => {
    if (this.#finished || this.isGone) return;
    this.isGone = true;
    this.#stream.resume();
    this.#controller?.abort();
    this.events?.gone();
  };

  readonly #onClose = (): void => {
    this.due = Infinity;
    const whole = this.#finished && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR;
    this.#onAway();
    this.#host.closed(this, !whole);
  };

  /** The handler is through: an exchange that nobody answered is refused, whatever went wrong. */
  settle(error?: unknown): void {
    this.#handled = true;
    if (this.#finished || this.isGone) return;
    if (this.answered) return this.abort();
    const { code, message } = toSallyportError(error ?? new Error('the exchange was left unanswered'));
    this.refuse(catalogueRefusal(code, message));
  }
}

function ignore(): void { /* See the listener of 'close'. */ }
