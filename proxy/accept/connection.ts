import type { Duplex } from 'node:stream';
import type { BodySink } from '../exchange.ts';
import { catalogueRefusal } from '../refusal.ts';
import { bodyReader, type BodyReader } from '../wire/body.ts';
import { HeadCollector } from '../wire/head-collector.ts';
import { judgeTrailers, type BadHead } from '../wire/head-rules.ts';
import { nowhere } from '../roster.ts';
import { Output } from '../wire/output.ts';
import { RequestHeads } from '../wire/repeated-head.ts';
import type { Watched } from '../wire/sweep.ts';
import { ClientExchange, type BodyState, type ExchangeHost } from './client-exchange.ts';
import { closeCut } from './close-cut.ts';
import type { ConnectionOptions, Handler } from './connection-options.ts';
import { classify } from './forms.ts';
import { recordedAs } from './refused.ts';
import { serialiseRefusal } from './refusal.ts';

/**
 * `head`: a request may come; `busy`: one is being answered and its body isn't wanted now; `body`: its body flows; `drain`: the rest
 * of a refused one's body is dropped; `closing`: our side is closed; `tunnel`: the stream is someone else's.
 */
type Phase = 'head' | 'busy' | 'body' | 'drain' | 'closing' | 'tunnel';

/** One client's HTTP/1 connection: requests one after the other, each answered before the next is looked at. */
export class ClientConnection implements ExchangeHost, Watched {
  readonly #stream: Duplex;
  readonly #options: ConnectionOptions;
  readonly #handler: Handler;
  readonly #collector = new HeadCollector(true);
  readonly #heads = new RequestHeads();
  readonly output: Output;
  #phase: Phase = 'head';
  #exchange: ClientExchange | undefined;
  #clientKeepsAlive = true;
  #stopping = false;
  /** Bytes that can't be looked at yet. */
  #held: Buffer | undefined;
  #pumping = false;
  /** Since bytes came, or since others have had their turn. */
  #steps = 0;
  #reader: BodyReader | undefined;
  #sink: BodySink | undefined;
  #bodyPaused = false;
  #bodyLeft = 0;
  bodyState: BodyState = 'done';
  due: number;
  place = nowhere;

  constructor(stream: Duplex, options: ConnectionOptions, handler: Handler) {
    this.#stream = stream;
    this.#options = options;
    this.#handler = handler;
    this.output = new Output(stream);
    this.due = options.sweep.now + options.limits.head_ms;
    options.sweep.add(this);
    stream.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain).on('close', this.#onClose);
    // Whatever went wrong, 'close' follows and says all that matters.
    stream.on('error', ignore);
  }

  /** Bytes that were read before this connection was made. */
  feed(bytes: Buffer): void {
    this.#onData(bytes);
  }

  /** The next answer says `Connection: close`; a client that was told otherwise already, or is idle, has a moment for one more request. */
  stop(): void {
    this.#stopping = true;
    if (this.#phase === 'head' && !this.#collector.partial) this.due = this.#idleDue();
  }

  #idleDue(): number {
    return this.#options.sweep.now + this.#options.limits[this.#stopping ? 'stop_idle_ms' : 'idle_ms'];
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#phase === 'closing') return;
    this.#steps = 0;
    this.#held = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes]);
    this.#pump();
  };

  readonly #onEnd = (): void => {
    // Half-closing after a request can't be told from closing; an origin must not work for a client that is gone.
    if (this.#exchange === undefined && this.#phase !== 'closing') return this.#close();
    this.#exchange?.clientGone();
    this.#stream.destroy();
  };

  readonly #onDrain = (): void => {
    this.#exchange?.drained();
    if (this.#phase === 'head') this.#pump();
  };

  readonly #onClose = (): void => {
    this.#options.sweep.remove(this);
    this.#reader?.release();
    this.#held = undefined;
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.clientGone();
  };

  expired(): void {
    if (this.#phase !== 'head') this.#stream.destroy();
    else if (this.#collector.partial) this.#refuseHead({ code: 'request_timeout', detail: 'The head of the request did not arrive in time.' });
    else this.#close();
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const { steps_a_turn } = this.#options.limits;
    try {
      while (this.#held !== undefined && this.#steps < steps_a_turn && this.#step(this.#held)) this.#steps++;
    } finally {
      this.#pumping = false;
    }
    if (this.#phase === 'tunnel' || this.#phase === 'closing') return;
    if (this.#steps >= steps_a_turn) return this.#wait();
    const full = (this.#phase === 'busy' || this.#phase === 'head') && this.#held !== undefined && this.#held.length > this.#options.limits.held_bytes;
    if (full || (this.#phase === 'body' && this.#bodyPaused)) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
  }

  /** Others have their turns, too, while one pipelines. */
  #wait(): void {
    this.#stream.pause();
    if (this.#steps === Infinity) return;
    this.#steps = Infinity;
    setImmediate(() => {
      this.#steps = 0;
      if (!this.#stream.destroyed) this.#pump();
    });
  }

  /** Looks at the held bytes; false when there is nothing more to be done with them now. */
  #step(bytes: Buffer): boolean {
    switch (this.#phase) {
      // Who does not read what was answered has nothing more answered: each refusal is 20 times its request, and would be held for ever.
      case 'head': return !this.#stream.writableNeedDrain && this.#readHead(bytes);
      case 'body': return !this.#bodyPaused && this.#readBody(bytes);
      case 'drain': return this.#readBody(bytes);
      case 'closing':
        this.#held = undefined;
        return false;
      case 'busy': case 'tunnel': return false;
    }
  }

  #readHead(bytes: Buffer): boolean {
    const { sweep, limits } = this.#options;
    const began = this.#collector.partial;
    this.#held = undefined;
    const collected = this.#collector.feed(bytes);
    if (collected === 'more') {
      if (!began) this.due = sweep.now + limits.head_ms;
      return false;
    }
    if (collected === 'bad') {
      this.#refuseHead({ code: 'bad_request', detail: `The request can't be read as HTTP/1.1: ${this.#collector.problem}.` });
      return false;
    }
    const { rest } = this.#collector;
    this.#held = rest.length === 0 ? undefined : rest;
    const judged = this.#heads.judge(this.#collector.head);
    if (judged.kind === 'bad') {
      this.#refuseHead(judged);
      return false;
    }
    const { head } = judged;
    const form = classify(head, this.#options.inside);
    const exchange = new ClientExchange(this, this.#options.source, form.kind === 'refused' ? { kind: 'absolute' } : form, head);
    this.#exchange = exchange;
    this.#phase = 'busy';
    this.due = Infinity;
    this.#clientKeepsAlive = judged.keep_alive;
    this.#bodyLeft = head.framing.kind === 'none' ? 0 : head.framing.kind === 'length' ? head.framing.bytes : Infinity;
    this.bodyState = this.#bodyLeft === 0 ? 'done' : 'waiting';
    if (form.kind === 'refused') exchange.refuse(catalogueRefusal(form.code, form.detail, recordedAs(this.#options, form, head)));
    else void this.#handle(exchange);
    return true;
  }

  async #handle(exchange: ClientExchange): Promise<void> {
    try {
      await this.#handler(exchange);
      exchange.settle();
    } catch (error) {
      exchange.settle(error);
    }
  }

  #readBody(bytes: Buffer): boolean {
    const reader = this.#reader!;
    const sink = this.#sink;
    const pieces = reader.read(bytes);
    this.#held = reader.consumed === bytes.length ? undefined : bytes.subarray(reader.consumed);
    this.#bodyLeft -= reader.consumed;
    for (const piece of pieces) if (sink?.data(piece) === false) this.#bodyPaused = true;
    if (reader.state === 'more' || this.#reader !== reader) return true;
    const trailers = reader.state === 'done' ? judgeTrailers(reader.trailers) : reader.problem;
    this.#endBody(typeof trailers === 'string' ? 'broken' : 'done');
    if (typeof trailers === 'string') sink?.fail(`The body can't be read one way only: ${trailers}.`);
    else sink?.end(trailers);
    return true;
  }

  #endBody(state: 'done' | 'broken'): void {
    this.#reader?.release();
    this.#reader = undefined;
    this.#sink = undefined;
    this.bodyState = state;
    if (this.#phase === 'body') this.#phase = 'busy';
    else if (this.#phase === 'drain') this.#next();
  }

  get keepsAlive(): boolean { return this.#clientKeepsAlive && !this.#stopping; }

  get restIsSmall(): boolean { return this.#bodyLeft <= this.#options.limits.drained_bytes; }

  get hasMore(): boolean { return this.#held !== undefined; }

  startBody(sink: BodySink): void {
    if (this.bodyState !== 'waiting' || this.#phase !== 'busy') return;
    this.bodyState = 'reading';
    this.#reader = bodyReader(this.#bodyLeft === Infinity ? { kind: 'chunked' } : { kind: 'length', bytes: this.#bodyLeft });
    this.#sink = sink;
    this.#bodyPaused = false;
    this.#phase = 'body';
    this.#pump();
  }

  resumeBody(): void {
    this.#bodyPaused = false;
    this.#pump();
  }

  answered(close: boolean): void {
    this.#exchange = undefined;
    this.#sink = undefined;
    if (close) {
      this.#close();
    } else if (this.bodyState === 'done') {
      this.#next();
      this.#pump();
    } else {
      this.#reader ??= bodyReader({ kind: 'length', bytes: this.#bodyLeft });
      this.bodyState = 'reading';
      this.#phase = 'drain';
      this.due = this.#options.sweep.now + this.#options.limits.head_ms;
      this.#pump();
    }
  }

  #next(): void {
    this.#phase = 'head';
    this.due = this.#idleDue();
  }

  #refuseHead({ code, detail }: { readonly code: BadHead['code'] | 'request_timeout'; readonly detail: string }): void {
    this.output.bytes(serialiseRefusal(catalogueRefusal(code, detail, recordedAs(this.#options, { code, detail }, undefined)), { json: true, close: true, head: false }));
    this.output.flush();
    this.#close();
  }

  /** Closes our side; what still comes is dropped for a while, because a reset would take the answer from the client. */
  #close(): void {
    this.#phase = 'closing';
    this.#held = undefined;
    this.due = this.#options.sweep.now + this.#options.limits.linger_ms;
    this.#stream.end();
    this.#stream.resume();
  }

  abort(framed: boolean): void {
    const stream = this.#stream;
    this.#exchange = undefined;
    this.#phase = 'closing';
    this.due = this.#options.sweep.now + this.#options.limits.linger_ms;
    closeCut(stream, framed);
  }

  openTunnel(answer: string): Duplex {
    const stream = this.#stream;
    this.#phase = 'tunnel';
    this.#exchange = undefined;
    this.#options.sweep.remove(this);
    stream.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain).off('close', this.#onClose);
    stream.pause();
    if (this.#held !== undefined) stream.unshift(this.#held);
    this.#held = undefined;
    this.output.text(answer);
    this.output.flush();
    return stream;
  }
}

function ignore(): void { /* See the listener of 'close'. */ }
