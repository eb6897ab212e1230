import { toSallyportError, type ErrorCode } from '../../contracts/errors.ts';
import type { SpendableMeter } from '../../contracts/budget.ts';
import type { Outcome, Permit } from '../enforce/permit.ts';
import type { DenialCode } from '../denial.ts';
import type { ClientEvents, Exchange, ResponseHead } from '../exchange.ts';
import { catalogueRefusal } from '../refusal.ts';
import { bodyReader, type BodyReader } from '../wire/body.ts';
import { judgeTrailers } from '../wire/head-rules.ts';
import type { ForwardContext } from './context.ts';
import type { Dialling } from './dial.ts';
import { upstreamFailure } from './failures.ts';
import { MeteredGate, type GateUser } from './metered-gate.ts';
import type { OriginConnection } from './origin-connection.ts';
import { Relay } from './relay.ts';
import { mayBeSentAgain } from './retry.ts';
import { switchedSide, takesUp } from './upgrade.ts';
import { Upload, type UploadUser } from './upload.ts';
import { dialUpstream } from './upstream-dial.ts';
import { upstreamOn, type Upstream, type UpstreamUser } from './upstream.ts';

const nothing: Buffer = Buffer.alloc(0);

/** One permitted request on its way to the origin, and the answer on its way back. */
export class Http1Exchange implements UpstreamUser, UploadUser, GateUser, ClientEvents {
  readonly #permit: Permit;
  readonly #exchange: Exchange;
  readonly #context: ForwardContext;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #began: number;
  readonly #gate: MeteredGate;
  #dialling: Dialling<Upstream> | undefined;
  #upstream: Upstream | undefined;
  #upload: Upload | undefined;
  #sentBefore = 0;
  #address: string | undefined;
  #retried = false;
  #heard = false;
  #interim = 0;
  #final: ResponseHead | undefined;
  #reader: BodyReader | undefined;
  #clientFull = false;
  /** The origin has closed while bytes of its still wait for budget. */
  #ended: (() => void) | undefined;
  #firstByteMs: number | undefined;
  #over = false;

  /** `began`: when the permit was taken, in the time of the clock's `monotonic`. */
  constructor(permit: Permit, exchange: Exchange, context: ForwardContext, resolve: (outcome: Outcome) => void, began: number = context.clock.monotonic()) {
    this.#permit = permit;
    this.#exchange = exchange;
    this.#context = context;
    this.#resolve = resolve;
    this.#began = began;
    this.#gate = new MeteredGate(permit.spending, 'bytes_in', this);
  }

  /** `connected`: what was dialled already, to be used in the place of another connection. */
  start(connected?: OriginConnection): void {
    const { transfer } = this.#exchange;
    transfer.events = this;
    if (connected !== undefined) this.#upstream = upstreamOn(connected, this.#context.sweep);
    if (transfer.isGone) return this.gone();
    if (this.#permit.stop.reason !== undefined) return this.#onStop();
    this.#permit.stop.onStop = this.#onStop;
    if (this.#upstream !== undefined) return this.#use(this.#upstream);
    // What can't be sent twice is not sent on a connection that may be dead.
    const pooled = this.#permit.upgrade !== undefined ? undefined : this.#context.pool.take(this.#permit.pool_key, this.#permit.addresses);
    if (pooled === undefined) this.#dial();
    else this.#use(pooled);
  }

  #dial(): void {
    this.#dialling = dialUpstream(this.#permit, this.#context);
    this.#dialling.connected.then((upstream) => {
      this.#dialling = undefined;
      if (this.#over) upstream.destroy();
      else this.#use(upstream);
    }).catch((error: unknown) => {
      const { code, message, extras } = toSallyportError(error);
      this.#fail(code, message, extras.next_steps);
    });
  }

  #use(upstream: Upstream): void {
    const { limits } = this.#context;
    this.#upstream = upstream;
    this.#address = upstream.address;
    upstream.use(this);
    upstream.expect(limits.idle_ms);
    this.#upload = new Upload(this.#permit, this.#exchange, upstream, limits, this);
    this.#upload.start();
  }

  sent(): void {
    const { limits } = this.#context;
    this.#upstream!.expect(this.#heard ? limits.idle_ms : limits.first_byte_ms);
  }

  invalid(): void {
    this.#onStop();
  }

  broken(detail: string): void {
    this.#fail('bad_request', detail);
  }

  onBytes(bytes: Buffer): void {
    const upstream = this.#upstream!;
    if (!this.#upload!.begun) return this.#lost(undefined);
    this.#heard = true;
    this.#firstByteMs ??= this.#context.clock.monotonic() - this.#began;
    upstream.expect(this.#context.limits.idle_ms);
    if (!this.#gate.offer(bytes) && !this.#over) upstream.pause();
  }

  ready(): void {
    if (this.#ended !== undefined) this.#ended();
    else if (!this.#clientFull) this.#upstream?.resume();
  }

  drained(): void {
    this.#clientFull = false;
    if (!this.#gate.blocked) this.#upstream?.resume();
  }

  onDrain(): void {
    this.#upload!.drained();
  }

  /** Reads paid bytes of the answer; all of them, or the exchange is over. */
  pass(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.#over) {
      if (this.#reader === undefined) {
        const { heads } = this.#upstream!;
        const collected = heads.feed(rest);
        if (collected === 'more') break;
        if (collected === 'bad') return this.#fail('upstream_protocol', `The answer can't be read as HTTP/1.1: ${heads.problem}.`);
        rest = heads.rest;
        this.#readHead(heads.head, rest);
      } else {
        const reader = this.#reader;
        for (const piece of reader.read(rest)) this.#exchange.transfer.write(piece);
        rest = reader.consumed === rest.length ? nothing : rest.subarray(reader.consumed);
      }
      if (this.#over || this.#reader === undefined) continue;
      if (this.#reader.state === 'bad') return this.#fail('upstream_protocol', `The body of the answer can't be read: ${this.#reader.problem}.`);
      if (this.#reader.state === 'done') return this.#complete(rest.length === 0);
    }
    if (this.#over || this.#exchange.transfer.flush()) return;
    this.#clientFull = true;
    this.#upstream?.pause();
  }

  /** `rest`: what came behind the head. */
  #readHead(bytes: Buffer, rest: Buffer): void {
    const { limits } = this.#context;
    const judged = this.#upstream!.answers.judge(bytes, this.#permit.method);
    if (judged.kind === 'bad') return this.#fail('upstream_protocol', judged.detail);
    const { head } = judged;
    if (head.status >= 200) {
      this.#final = head;
      this.#upload!.final();
      this.#exchange.transfer.begin(head);
      this.#reader = bodyReader(head.framing);
      return;
    }
    if (head.status === 101) return this.#switch(head, rest);
    if (++this.#interim > limits.interim_answers) return this.#fail('upstream_protocol', `The other side sent more than ${limits.interim_answers} interim answers.`);
    if (head.status === 100) this.#upload!.continue();
    else this.#exchange.transfer.interim(head);
    if (this.#upload!.done) this.#upstream!.expect(limits.first_byte_ms);
  }

  /** Becomes a tunnel, if that is what was offered. */
  #switch(head: ResponseHead, rest: Buffer): void {
    const { upgrade } = this.#permit;
    if (upgrade === undefined || !takesUp(head, upgrade)) return this.#fail('upstream_protocol', 'The other side switched to a protocol that was not offered.');
    this.#over = true;
    this.#upload!.close();
    this.#exchange.transfer.events = undefined;
    const client = this.#exchange.transfer.switchTo(head, upgrade);
    // Paid for already, as the head was.
    if (rest.length > 0) client.write(Buffer.from(rest));
    const switched = { head, gate: this.#gate, bytes_out: this.#sentBefore + this.#upload!.bytes, first_byte_ms: this.#firstByteMs!, tls: this.#upstream!.tls };
    new Relay(this.#permit, this.#context, client, switchedSide(this.#upstream!), this.#began, this.#resolve, switched).start();
  }

  #complete(nothingLeft: boolean): void {
    const { transfer } = this.#exchange;
    const upstream = this.#upstream!;
    const head = this.#final!;
    const trailers = judgeTrailers(this.#reader!.trailers);
    if (typeof trailers === 'string') return this.#fail('upstream_protocol', `In the answer, ${trailers}.`);
    const reusable = nothingLeft && head.keep_alive && head.framing.kind !== 'until_close' && this.#upload!.done;
    this.#finish('completed', undefined);
    if (reusable) this.#context.pool.put(this.#permit.pool_key, upstream);
    else upstream.destroy();
    transfer.end(trailers);
  }

  onEnd(): void {
    if (this.#gate.blocked) {
      this.#ended = () => this.onEnd();
      return;
    }
    this.#reader?.finish();
    if (this.#reader?.state === 'done') this.#complete(true);
    else this.#lost(undefined);
  }

  onClose(error: NodeJS.ErrnoException | undefined): void {
    if (this.#gate.blocked) this.#ended ??= () => this.#lost(error);
    else this.#lost(error);
  }

  onOverdue(): void {
    if (this.#upload!.overdue()) return;
    const { limits } = this.#context;
    if (this.#clientFull || this.#upload!.waitsForClient) this.#end('failed', 'client_gone', undefined);
    else this.#fail('upstream_timeout', `The other side sent nothing for ${(this.#heard ? limits.idle_ms : limits.first_byte_ms) / 1000} s.`);
  }

  /** The origin is gone before its answer was complete. */
  #lost(error: NodeJS.ErrnoException | undefined): void {
    if (this.#over) return;
    const { host, port } = this.#permit;
    const stale = this.#upstream!.uses > 1 && !this.#heard && !this.#retried;
    if (stale && mayBeSentAgain(this.#exchange.head)) {
      this.#retried = true;
      void this.#tryAgain();
      return;
    }
    const { code, message, extras } = upstreamFailure(error, `${host}:${port}`, this.#heard);
    this.#fail(code, message, extras.next_steps);
  }

  async #tryAgain(): Promise<void> {
    this.#upstream!.destroy();
    this.#upload!.close();
    this.#sentBefore += this.#upload!.bytes;
    this.#upload = undefined;
    const allowed = await this.#permit.anotherTry().catch(() => false);
    if (this.#over) return;
    if (allowed) this.#dial();
    else this.#fail('upstream_reset', `${this.#permit.host}:${this.#permit.port} closed an idle connection, and there is no budget to try again.`);
  }

  gone(): void {
    this.#upstream?.destroy();
    this.#finish('failed', 'client_gone');
  }

  readonly #onStop = (): void => {
    const reason = this.#permit.stop.reason ?? { code: 'run_ended', detail: 'The run ended before the request was sent.' };
    this.#end('cut', reason.code, reason.detail);
  };

  refused(meter: SpendableMeter): void {
    this.#end('cut', 'budget_exhausted', `The budget of ${meter} is used up.`, meter);
  }

  #fail(code: ErrorCode, detail: string, next_steps?: readonly string[]): void {
    this.#end('failed', code, detail, undefined, next_steps);
  }

  /** Ends what can't be completed: with a refusal while the client has no byte of an answer, else by closing its connection. */
  #end(kind: 'failed' | 'cut', code: DenialCode | 'client_gone', detail: string | undefined, meter?: SpendableMeter, next_steps?: readonly string[]): void {
    if (this.#over) return;
    const { transfer } = this.#exchange;
    this.#upstream?.destroy();
    this.#finish(kind, code, meter, detail);
    if (code === 'client_gone' || transfer.answered) transfer.abort();
    else this.#exchange.refuse(catalogueRefusal(code, detail ?? '', { egress_id: this.#permit.egress_id, next_steps }));
  }

  #finish(kind: Outcome['kind'], code: Outcome['code'], meter?: SpendableMeter, detail?: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#exchange.transfer.events = undefined;
    this.#permit.stop.onStop = undefined;
    this.#dialling?.cancel();
    this.#upload?.close();
    this.#gate.close();
    this.#reader?.release();
    this.#resolve({
      kind, code,
      status: this.#final?.status,
      response_headers: this.#final?.headers ?? [],
      address: this.#address,
      bytes_out: this.#sentBefore + (this.#upload?.bytes ?? 0),
      bytes_in: this.#gate.passed,
      first_byte_ms: this.#firstByteMs,
      duration_ms: this.#context.clock.monotonic() - this.#began,
      ...(this.#upstream !== undefined && { http_version: '1.1' }),
      ...(this.#upstream?.tls !== undefined && { tls: this.#upstream.tls }),
      ...(meter !== undefined && { meter }), ...(detail !== undefined && { detail }),
    });
  }
}
