import type { ClientHttp2Stream } from 'node:http2';
import type { ErrorCode, SallyportError } from '../../../contracts/errors.ts';
import type { SpendableMeter } from '../../../contracts/budget.ts';
import type { DenialCode } from '../../denial.ts';
import type { Outcome, Permit } from '../../enforce/permit.ts';
import type { ClientEvents, Exchange, HeaderList } from '../../exchange.ts';
import { catalogueRefusal } from '../../refusal.ts';
import { nowhere } from '../../roster.ts';
import { signals } from '../../signals.ts';
import type { Watched } from '../../wire/sweep.ts';
import type { ForwardContext } from '../context.ts';
import { Http1Exchange } from '../http1-exchange.ts';
import { Http2Answer, type AnswerUser } from './answer.ts';
import { lostFailure, streamCodes } from './failures.ts';
import type { OriginSession } from './session.ts';
import type { StreamSeeker } from './sessions.ts';
import { Http2Upload, type Http2UploadUser } from './upload.ts';
import type { OriginConnection } from '../origin-connection.ts';
import { mayBeSentAgain } from '../retry.ts';

/** One permitted request of an HTTP/2 client on its way to the origin, and the answer on its way back; by HTTP/1.1 where the origin knows no other. */
export class Http2Exchange implements StreamSeeker, Http2UploadUser, AnswerUser, ClientEvents, Watched {
  readonly permit: Permit;
  readonly #exchange: Exchange;
  readonly #context: ForwardContext;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #began: number;
  readonly #where: string;
  #session: OriginSession | undefined;
  #stream: ClientHttp2Stream | undefined;
  #upload: Http2Upload | undefined;
  #answer: Http2Answer | undefined;
  #sentBefore = 0;
  #retried = false;
  #firstByteMs: number | undefined;
  #over = false;
  due = Infinity;
  place = nowhere;

  constructor(permit: Permit, exchange: Exchange, context: ForwardContext, resolve: (outcome: Outcome) => void) {
    this.permit = permit;
    this.#exchange = exchange;
    this.#context = context;
    this.#resolve = resolve;
    this.#began = context.clock.monotonic();
    this.#where = `${permit.host}:${permit.port}`;
  }

  start(): void {
    const { transfer } = this.#exchange;
    transfer.events = this;
    if (transfer.isGone) return this.gone();
    if (this.permit.stop.reason !== undefined) return this.#onStop();
    this.permit.stop.onStop = this.#onStop;
    this.#context.sweep.add(this);
    this.#seek();
  }

  #seek(): void {
    this.#expect(this.#context.limits.first_byte_ms);
    this.#context.http2.ask(this);
  }

  #expect(milliseconds: number): void {
    this.due = this.#context.sweep.now + milliseconds;
  }

  get #heard(): boolean {
    return this.#firstByteMs !== undefined;
  }

  reserved(session: OriginSession): void {
    this.#session = session;
    this.#expect(this.#context.limits.idle_ms);
    this.#upload = new Http2Upload(this.permit, this.#exchange, session, this);
    this.#upload.start();
  }

  overHttp1(connection: OriginConnection | undefined): void {
    // Of those that are told one after the other, one may have ended another.
    if (this.#over) return void connection?.socket.destroy();
    this.#leave();
    const sent = this.#sentBefore;
    const resolve = sent === 0 ? this.#resolve : (outcome: Outcome) => { this.#resolve({ ...outcome, bytes_out: outcome.bytes_out + sent }); };
    new Http1Exchange(this.permit, this.#exchange, this.#context, resolve, this.#began).start(connection);
  }

  unreachable({ code, message, extras }: SallyportError): void {
    this.#fail(code, message, extras.next_steps);
  }

  opened(stream: ClientHttp2Stream): void {
    this.#stream = stream;
    let error: NodeJS.ErrnoException | undefined;
    stream.on('error', (problem: NodeJS.ErrnoException) => { error = problem; });
    stream.on('close', () => { if (stream === this.#stream) this.#lost(error); });
    this.#answer = new Http2Answer(this.permit, this.#exchange, stream, this.#context.limits.interim_answers, this);
    const { continue_ms, idle_ms } = this.#context.limits;
    this.#expect(this.#exchange.head.expects_continue ? continue_ms : idle_ms);
  }

  sent(): void {
    const { limits } = this.#context;
    this.#expect(this.#heard ? limits.idle_ms : limits.first_byte_ms);
  }

  moved(): void {
    this.#expect(this.#context.limits.idle_ms);
  }

  unsendable(error: SallyportError): void {
    signals.fault.publish({ where: 'http2', error });
    this.#fail(error.code, error.message);
  }

  invalid(): void {
    this.#onStop();
  }

  broken(detail: string): void {
    this.#fail('bad_request', detail);
  }

  heard(bytes: number): void {
    this.#firstByteMs ??= this.#context.clock.monotonic() - this.#began;
    this.#session!.carried(bytes);
    this.#expect(this.#context.limits.idle_ms);
  }

  continue(): void {
    this.#upload!.continue();
    if (this.#upload!.done) this.#expect(this.#context.limits.first_byte_ms);
  }

  final(): void {
    this.#upload!.final();
  }

  bad(detail: string): void {
    this.#fail('upstream_protocol', `The answer of ${this.#where} is not valid HTTP/2: ${detail}.`);
  }

  /** What of the request is still to come is of no use any more (RFC 9113, section 8.1). */
  complete(trailers: HeaderList): void {
    const { transfer } = this.#exchange;
    const stream = this.#stream!;
    const whole = this.#upload!.done;
    this.#finish('completed', undefined);
    if (!whole) stream.destroy();
    transfer.end(trailers);
  }

  drained(): void {
    this.#answer?.drained();
  }

  lost(): void {
    this.#lost(undefined);
  }

  /** The stream is gone before its answer was complete. */
  #lost(error: NodeJS.ErrnoException | undefined): void {
    if (this.#over || this.#answer!.ended) return;
    const session = this.#session!;
    const code = this.#stream!.rstCode;
    const { head } = this.#exchange;
    if (!this.#heard && !this.#retried && head.framing.kind === 'none') {
      // RFC 9113, section 8.7: a refused stream, as one beyond the last of a GOAWAY, was not looked at; so any method may be sent again.
      const unseen = code === streamCodes.refused || code === streamCodes.http1 || error?.code === 'ERR_HTTP2_GOAWAY_SESSION' || error?.code === 'ERR_HTTP2_INVALID_SESSION';
      const stale = session.destroyed && session.uses > 1;
      if (unseen || (stale && mayBeSentAgain(head))) return void this.#tryAgain(code === streamCodes.http1);
    }
    const failure = lostFailure({ error: session.error ?? (session.destroyed ? error : undefined), died: session.destroyed, code, heard: this.#heard }, this.#where);
    this.#fail(failure.code, failure.message);
  }

  async #tryAgain(byHttp1: boolean): Promise<void> {
    this.#retried = true;
    this.#sentBefore += this.#upload!.bytes;
    this.#letGo();
    const allowed = await this.permit.anotherTry().catch(() => false);
    if (this.#over) return;
    if (!allowed) return this.#fail('upstream_reset', `${this.#where} did not take the request, and there is no budget to try again.`);
    if (byHttp1) {
      this.#context.http2.learn(this.permit, false);
      this.overHttp1(undefined);
    } else {
      this.#seek();
    }
  }

  /** Of the stream in hand, if there is one: it is reset unless it is closed. */
  #letGo(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#upload?.close();
    this.#answer?.close();
    // A stream was kept for a head that did not go.
    if (stream === undefined && this.#upload !== undefined) this.#session?.release();
    this.#upload = undefined;
    this.#answer = undefined;
    this.#session = undefined;
  }

  gone(): void {
    // A client that has counted to the length that it was told need not wait for the stream's end: curl does not.
    const content = this.#answer?.hasAll === true;
    this.#reset();
    if (content) this.#finish('completed', undefined);
    else this.#finish('failed', 'client_gone');
  }

  readonly #onStop = (): void => {
    const reason = this.permit.stop.reason ?? { code: 'run_ended', detail: 'The run ended before the request was sent.' };
    this.#end('cut', reason.code, reason.detail);
  };

  refused(meter: SpendableMeter): void {
    this.#end('cut', 'budget_exhausted', `The budget of ${meter} is used up.`, meter);
  }

  expired(): void {
    this.due = Infinity;
    const { limits } = this.#context;
    if (this.#stream === undefined) return this.#fail('upstream_timeout', `No connection to ${this.#where} took the request within ${limits.first_byte_ms / 1000} s.`);
    if (this.#upload!.waitsForContinue) return this.#upload!.continue();
    if (this.#answer!.clientFull || this.#upload!.waitsForClient) return this.#end('failed', 'client_gone', undefined);
    // Nobody else shall wait as long on a connection that may be dead.
    if (!this.#heard) this.#session!.retire();
    this.#fail('upstream_timeout', `The other side sent nothing for ${(this.#heard ? limits.idle_ms : limits.first_byte_ms) / 1000} s.`);
  }

  #fail(code: ErrorCode, detail: string, next_steps?: readonly string[]): void {
    this.#end('failed', code, detail, undefined, next_steps);
  }

  /** `linger`: what was paid for still goes out, as a reset would take it back. */
  #reset(linger: boolean = false): void {
    const stream = this.#stream;
    if (stream === undefined || stream.closed) return;
    this.#session!.cut();
    const cancel = (): void => { stream.close(streamCodes.cancel); };
    if (!linger || stream.writableLength === 0) return cancel();
    const timer = this.#context.clock.setTimeout(cancel, this.#context.limits.linger_ms);
    stream.write('', () => {
      timer.cancel();
      cancel();
    });
  }

  /** Ends what can't be completed: with a refusal while the client has no byte of an answer, else by resetting its stream. */
  #end(kind: 'failed' | 'cut', code: DenialCode | 'client_gone', detail: string | undefined, meter?: SpendableMeter, next_steps?: readonly string[]): void {
    if (this.#over) return;
    const { transfer } = this.#exchange;
    const told = code !== 'client_gone' && !transfer.answered;
    this.#reset(meter === 'bytes_out');
    this.#finish(kind, code, { meter, detail });
    if (told) this.#exchange.refuse(catalogueRefusal(code, detail ?? '', { egress_id: this.permit.egress_id, next_steps }));
    else transfer.abort();
  }

  /** Nothing here hears of the exchange any more. */
  #leave(): void {
    this.#over = true;
    this.#context.sweep.remove(this);
    this.#context.http2.forget(this);
    this.#exchange.transfer.events = undefined;
    this.permit.stop.onStop = undefined;
  }

  #finish(kind: Outcome['kind'], code: Outcome['code'], { meter, detail }: { readonly meter?: SpendableMeter | undefined; readonly detail?: string | undefined } = {}): void {
    if (this.#over) return;
    this.#leave();
    const session = this.#session;
    const final = this.#answer?.final;
    const outcome: Outcome = {
      kind, code,
      status: final?.status,
      response_headers: final?.headers ?? [],
      address: session?.address,
      bytes_out: this.#sentBefore + (this.#upload?.bytes ?? 0),
      bytes_in: this.#answer?.bytes ?? 0,
      first_byte_ms: this.#firstByteMs,
      duration_ms: this.#context.clock.monotonic() - this.#began,
      ...(session !== undefined && { http_version: '2' }),
      ...(session?.tls !== undefined && { tls: session.tls }),
      ...(meter !== undefined && { meter }),
      ...(detail !== undefined && { detail }),
    };
    this.#letGo();
    this.#resolve(outcome);
  }
}
