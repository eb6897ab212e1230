import type { ClientHttp2Stream } from 'node:http2';
import type { SpendableMeter } from '../../../contracts/budget.ts';
import type { Permit } from '../../enforce/permit.ts';
import type { Exchange, HeaderList, ResponseHead } from '../../exchange.ts';
import { judgeTrailers } from '../../wire/head-rules.ts';
import { streamCodes } from './failures.ts';
import { answerLength, judgeAnswer, linesLength, readTrailers } from './heads.ts';
import { MeteredItems } from './metered.ts';
import type { GateUser } from '../metered-gate.ts';

export interface AnswerUser {
  /** Something came, of so many bytes that carry something. */
  heard(bytes: number): void;
  /** The origin wants the body. */
  continue(): void;
  final(): void;
  complete(trailers: HeaderList): void;
  bad(detail: string): void;
  /** The stream ended without its answer being whole. */
  lost(): void;
  refused(meter: SpendableMeter): void;
}

const endStream = 1;

/** The answer on one stream, passed on as it comes: judged, paid for, and no faster than the client takes it. */
export class Http2Answer implements GateUser {
  readonly #permit: Permit;
  readonly #exchange: Exchange;
  readonly #interimMax: number;
  readonly #user: AnswerUser;
  readonly #items: MeteredItems;
  readonly #stream: ClientHttp2Stream;
  #interim = 0;
  #responded = false;
  #trailers: HeaderList = [];
  #octets = 0;
  /** The origin has said all; what is missing waits for budget. */
  ended = false;
  #closed = false;
  final: ResponseHead | undefined;
  clientFull = false;

  constructor(permit: Permit, exchange: Exchange, stream: ClientHttp2Stream, interimMax: number, user: AnswerUser) {
    this.#permit = permit;
    this.#exchange = exchange;
    this.#interimMax = interimMax;
    this.#user = user;
    this.#stream = stream;
    this.#items = new MeteredItems(permit.spending, 'bytes_in', this);
    // 'end' comes for streams that are cut as well: only when it is pushed can be told why. A reset with NO_ERROR is an end in order, as
    // browsers and curl have it: Node's own server ends answers so whose request nobody read. A length that was stated still has to be kept.
    let whole = false;
    const push = stream.push.bind(stream);
    stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk === null && !stream.destroyed && (!stream.closed || (stream.rstCode === streamCodes.none && stream.session?.destroyed === false))) whole = true;
      return push(chunk, encoding);
    };
    stream.on('headers', (_headers, _flags, raw: string[]) => { this.#onHead(raw, false, true); });
    stream.on('response', (_headers, flags, raw: string[]) => { this.#onHead(raw, (flags & endStream) !== 0, false); });
    stream.on('trailers', (_headers, _flags, raw: string[]) => { this.#trailers = raw; });
    stream.on('end', () => {
      if (this.#closed) return;
      if (!whole || !this.#responded) return this.#user.lost();
      this.ended = true;
      const length = linesLength(this.#trailers);
      user.heard(length);
      this.#items.whole(length, () => { this.#end(); });
    });
  }

  /** All that its Content-Length states was passed on; only the stream's end may be missing. */
  get hasAll(): boolean {
    return !this.clientFull && this.final?.framing.kind === 'length' && this.#octets === this.final.framing.bytes;
  }

  /** Bytes of the answer that were paid for and passed on. */
  get bytes(): number {
    return this.#items.passed;
  }

  #onHead(raw: string[], ended: boolean, interim: boolean): void {
    if (this.#closed) return;
    const length = answerLength(raw);
    this.#user.heard(length);
    if (this.#responded) return this.#user.bad('it has a head behind its head');
    if (!interim) {
      this.#responded = true;
      this.#stream.on('data', (bytes: Buffer) => {
        if (this.#closed) return;
        this.#user.heard(bytes.length);
        if (!this.#items.data(bytes)) this.#stream.pause();
      });
      if (this.#items.blocked) this.#stream.pause();
    } else if (++this.#interim > this.#interimMax) {
      return this.#user.bad(`it has more than ${this.#interimMax} interim answers`);
    }
    if (!this.#items.whole(length, () => { this.#read(raw, ended, interim); })) this.#stream.pause();
  }

  #read(raw: HeaderList, ended: boolean, interim: boolean): void {
    if (this.#closed) return;
    const head = judgeAnswer(raw, this.#permit.method, ended);
    if (typeof head === 'string') return this.#user.bad(head);
    if (interim !== head.status < 200) return this.#user.bad('its head is where it can\'t be');
    const { transfer } = this.#exchange;
    if (interim) {
      if (head.status === 100) this.#user.continue();
      else transfer.interim(head);
    } else {
      this.final = head;
      this.#user.final();
      transfer.begin(head);
    }
    this.#flush();
  }

  /** Paid octets of the body. */
  pass(bytes: Buffer): void {
    if (this.#closed) return;
    const { framing } = this.final!;
    this.#octets += bytes.length;
    if (framing.kind === 'none') return this.#user.bad('it has a body where there is none');
    if (framing.kind === 'length' && this.#octets > framing.bytes) return this.#user.bad('the body is longer than its Content-Length');
    this.#exchange.transfer.write(bytes);
    this.#flush();
  }

  #flush(): void {
    if (this.#exchange.transfer.flush()) return;
    this.clientFull = true;
    this.#stream.pause();
  }

  /** The budget has let all through. */
  ready(): void {
    if (!this.#closed && !this.clientFull && this.#responded) this.#stream.resume();
  }

  /** The client takes bytes again. */
  drained(): void {
    this.clientFull = false;
    if (!this.#items.blocked) this.ready();
  }

  #end(): void {
    if (this.#closed) return;
    const { framing } = this.final!;
    if (framing.kind === 'length' && this.#octets < framing.bytes) return this.#user.bad(`the body ends ${framing.bytes - this.#octets} bytes early`);
    const read = readTrailers(this.#trailers);
    const trailers = typeof read === 'string' ? read : judgeTrailers(read);
    if (typeof trailers === 'string') this.#user.bad(trailers);
    else this.#user.complete(trailers);
  }

  refused(meter: SpendableMeter): void {
    this.#user.refused(meter);
  }

  /** Passes nothing on any more. */
  close(): void {
    this.#closed = true;
    this.#items.close();
  }
}
