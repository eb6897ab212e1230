import type { SpendableMeter } from '../../contracts/budget.ts';
import type { Permit } from '../enforce/permit.ts';
import type { BodySink, Exchange, HeaderList } from '../exchange.ts';
import { chunkEnd, chunkStart, lastChunk } from '../wire/body.ts';
import { serialiseRequest } from '../wire/serialise.ts';
import type { ForwardLimits } from './limits.ts';
import { MeteredGate, type GateUser } from './metered-gate.ts';
import type { Upstream } from './upstream.ts';

export interface UploadUser {
  /** The request is sent whole. */
  sent(): void;
  /** The permit is not valid any more; nothing was sent. */
  invalid(): void;
  refused(meter: SpendableMeter): void;
  /** The client's body can't be read. */
  broken(detail: string): void;
}

/** Sends one request: head as serialised from what was judged, body framed as the client's was, both as far as `bytes_out` goes. */
export class Upload implements BodySink, GateUser {
  readonly #permit: Permit;
  readonly #exchange: Exchange;
  readonly #upstream: Upstream;
  readonly #limits: ForwardLimits;
  readonly #user: UploadUser;
  /** Made with the first byte of a body: most requests have none. */
  #gate: MeteredGate | undefined;
  readonly #chunked: boolean;
  #headBytes = 0;
  #waitsForContinue = false;
  #bodyStarted = false;
  #ending = false;
  #closed = false;
  /** The head was handed to the connection: an answer may come. */
  begun = false;
  done = false;

  constructor(permit: Permit, exchange: Exchange, upstream: Upstream, limits: ForwardLimits, user: UploadUser) {
    this.#permit = permit;
    this.#exchange = exchange;
    this.#upstream = upstream;
    this.#limits = limits;
    this.#user = user;
    this.#chunked = exchange.head.framing.kind === 'chunked';
  }

  #offer(bytes: Buffer): boolean {
    this.#gate ??= new MeteredGate(this.#permit.spending, 'bytes_out', this);
    return this.#gate.offer(bytes);
  }

  get #blocked(): boolean {
    return this.#gate?.blocked ?? false;
  }

  /** All that is offered was the sink's to keep. */
  pass(bytes: Buffer): void {
    this.#upstream.output.give(bytes);
  }

  refused(meter: SpendableMeter): void {
    this.#user.refused(meter);
  }

  /** Bytes sent. */
  get bytes(): number {
    return this.#headBytes + (this.#gate?.passed ?? 0);
  }

  /** Nothing but the client keeps the request from being whole. */
  get waitsForClient(): boolean {
    return !this.done && !this.#blocked && !this.#upstream.socket.writableNeedDrain;
  }

  start(): void {
    const head = serialiseRequest(this.#exchange.head, this.#permit.target, this.#permit.authority, this.#permit.upgrade);
    const taken = this.#permit.spending.take('bytes_out', head.length);
    if (taken === head.length) this.#sendHead(head);
    else void this.#awaitHead(head, taken);
  }

  /** A head is sent whole or not at all. */
  async #awaitHead(head: string, already: number): Promise<void> {
    const { spending } = this.#permit;
    let taken = already;
    while (taken < head.length) {
      const more = await spending.more('bytes_out', head.length - taken).catch(() => false);
      // The exchange is over, and its outcome has accounted for what was taken.
      if (this.#closed) return;
      if (!more) {
        spending.giveBack('bytes_out', taken);
        return this.#user.refused('bytes_out');
      }
      taken += spending.take('bytes_out', head.length - taken);
    }
    this.#sendHead(head);
  }

  #sendHead(head: string): void {
    const { output } = this.#upstream;
    if (!this.#permit.stillValid()) {
      this.#permit.spending.giveBack('bytes_out', head.length);
      return this.#user.invalid();
    }
    this.#headBytes = head.length;
    this.begun = true;
    output.text(head);
    const { framing, expects_continue } = this.#exchange.head;
    if (framing.kind === 'none' || (framing.kind === 'length' && framing.bytes === 0)) {
      this.#bodyStarted = true;
      output.flush();
      this.#sent();
    } else if (expects_continue) {
      this.#waitsForContinue = true;
      this.#upstream.expect(this.#limits.continue_ms);
      output.flush();
    } else {
      this.continue();
      output.flush();
    }
  }

  /** The body may go: the origin said so, or it need not. */
  continue(): void {
    this.#waitsForContinue = false;
    if (this.#bodyStarted || this.#closed) return;
    this.#bodyStarted = true;
    this.#upstream.expect(this.#limits.idle_ms);
    this.#exchange.transfer.readBody(this);
  }

  /** The final answer has begun: a body that waits for 100 is not asked for any more. */
  final(): void {
    this.#waitsForContinue = false;
    this.#bodyStarted = true;
  }

  /** True when what is overdue is no more than the origin's 100. */
  overdue(): boolean {
    if (!this.#waitsForContinue) return false;
    this.continue();
    return true;
  }

  data(bytes: Buffer): boolean {
    if (this.#closed) return true;
    this.#upstream.expect(this.#limits.idle_ms);
    const framed = this.#chunked ? Buffer.concat([Buffer.from(chunkStart(bytes.length)), bytes, Buffer.from(chunkEnd)]) : bytes;
    return this.#offer(framed) && !this.#upstream.socket.writableNeedDrain;
  }

  end(trailers: HeaderList): void {
    if (this.#closed) return;
    this.#ending = true;
    if (this.#chunked) this.#offer(Buffer.from(lastChunk(trailers), 'latin1'));
    if (!this.#blocked) this.#sent();
  }

  fail(detail: string): void {
    if (!this.#closed) this.#user.broken(detail);
  }

  ready(): void {
    if (this.#ending) this.#sent();
    else this.drained();
  }

  /** The origin takes bytes again. */
  drained(): void {
    if (!this.#closed && !this.#ending && this.#bodyStarted && !this.#blocked && !this.#upstream.socket.writableNeedDrain) this.#exchange.transfer.resumeBody();
  }

  #sent(): void {
    if (this.done || this.#closed) return;
    this.done = true;
    this.#user.sent();
  }

  /** Sends nothing more. */
  close(): void {
    this.#closed = true;
    this.#gate?.close();
  }
}
