import type { ClientHttp2Stream } from 'node:http2';
import type { SpendableMeter } from '../../../contracts/budget.ts';
import { toSallyportError, type SallyportError } from '../../../contracts/errors.ts';
import type { Permit } from '../../enforce/permit.ts';
import type { BodySink, Exchange, HeaderList } from '../../exchange.ts';
import { valuesByName } from '../../wire/fields.ts';
import { endToEndFields, serialiseRequest } from '../../wire/serialise.ts';
import type { GateUser } from '../metered-gate.ts';
import { linesLength, requestFields } from './heads.ts';
import { MeteredItems } from './metered.ts';
import type { OriginSession } from './session.ts';
import type { UploadUser } from '../upload.ts';

export interface Http2UploadUser extends UploadUser {
  /** The head goes out now. */
  opened(stream: ClientHttp2Stream): void;
  /** The request moved. */
  moved(): void;
  /** Node does not take the head. */
  unsendable(error: SallyportError): void;
}

/** Sends one request on a stream of HTTP/2: head from what was judged, body and trailers as the client's, all as far as `bytes_out` goes. */
export class Http2Upload implements BodySink, GateUser {
  readonly #permit: Permit;
  readonly #exchange: Exchange;
  readonly #session: OriginSession;
  readonly #user: Http2UploadUser;
  readonly #items: MeteredItems;
  #stream: ClientHttp2Stream | undefined;
  #trailers: HeaderList = [];
  #bodyStarted = false;
  #ending = false;
  #closed = false;
  /** Waits for the origin's 100. */
  waitsForContinue = false;
  done = false;

  constructor(permit: Permit, exchange: Exchange, session: OriginSession, user: Http2UploadUser) {
    this.#permit = permit;
    this.#exchange = exchange;
    this.#session = session;
    this.#user = user;
    this.#items = new MeteredItems(permit.spending, 'bytes_out', this);
  }

  /** The head was handed to the connection. */
  get begun(): boolean {
    return this.#stream !== undefined;
  }

  /** Bytes sent. */
  get bytes(): number {
    return this.begun ? this.#items.passed : 0;
  }

  /** Nothing but the client keeps the request from being whole. */
  get waitsForClient(): boolean {
    return this.begun && !this.done && !this.#ending && !this.#items.blocked && !this.#stream!.writableNeedDrain;
  }

  /** What it costs is what HTTP/1.1 would have written: HPACK's state must not change what a run pays. */
  start(): void {
    const { length } = serialiseRequest(this.#exchange.head, this.#permit.target, this.#permit.authority);
    this.#items.whole(length, () => { this.#sendHead(); });
  }

  #sendHead(): void {
    if (this.#closed) return;
    if (!this.#permit.stillValid()) return this.#user.invalid();
    const { framing, expects_continue } = this.#exchange.head;
    const bodiless = framing.kind === 'none' || (framing.kind === 'length' && framing.bytes === 0);
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.open(requestFields(this.#exchange.head, this.#permit), bodiless);
    } catch (error) {
      // Node checks what we have checked; should it ever be stricter, that is one request's end.
      return this.#user.unsendable(toSallyportError(error));
    }
    this.#stream = stream;
    this.#user.opened(stream);
    if (bodiless) {
      this.#bodyStarted = true;
      return this.#sent();
    }
    stream.on('drain', () => { this.ready(); });
    stream.on('wantTrailers', () => {
      try {
        stream.sendTrailers(valuesByName(endToEndFields(this.#trailers)));
      } catch (error) {
        // As with the head; what is thrown here would end the worker.
        return this.#user.unsendable(toSallyportError(error));
      }
      this.#sent();
    });
    this.waitsForContinue = expects_continue;
    if (!expects_continue) this.continue();
  }

  /** The body may go: the origin said so, or it need not. */
  continue(): void {
    this.waitsForContinue = false;
    if (this.#bodyStarted || this.#closed) return;
    this.#bodyStarted = true;
    this.#user.moved();
    this.#exchange.transfer.readBody(this);
  }

  /** The final answer has begun: a body that waits for 100 is not asked for any more. */
  final(): void {
    this.waitsForContinue = false;
    this.#bodyStarted = true;
  }

  data(bytes: Buffer): boolean {
    if (this.#closed) return true;
    this.#user.moved();
    return this.#items.data(bytes) && !this.#stream!.writableNeedDrain;
  }

  /** All that is offered was the sink's to keep. */
  pass(bytes: Buffer): void {
    if (this.#closed) return;
    this.#session.wrote();
    this.#stream!.write(bytes);
  }

  end(trailers: HeaderList): void {
    if (this.#closed) return;
    this.#ending = true;
    this.#trailers = trailers;
    this.#items.whole(linesLength(trailers), () => { if (!this.#closed) this.#stream!.end(); });
  }

  fail(detail: string): void {
    if (!this.#closed) this.#user.broken(detail);
  }

  refused(meter: SpendableMeter): void {
    this.#user.refused(meter);
  }

  /** The budget or the origin takes bytes again. */
  ready(): void {
    if (this.#closed || this.#stream === undefined) return;
    this.#user.moved();
    if (!this.#ending && this.#bodyStarted && !this.#items.blocked && !this.#stream.writableNeedDrain) this.#exchange.transfer.resumeBody();
  }

  #sent(): void {
    if (this.done || this.#closed) return;
    this.done = true;
    this.#user.sent();
  }

  /** Sends nothing more. */
  close(): void {
    this.#closed = true;
    this.#items.close();
  }
}
