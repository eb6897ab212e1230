import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../contracts/clock.ts';
import { SallyportError, toSallyportError } from '../../contracts/errors.ts';
import type { Egress } from '../describe/egress.ts';
import type { Exchange, ResponseHead } from '../exchange.ts';
import { FailedAttempts } from '../identify/attempts.ts';
import type { Caller } from '../identify/identify.ts';
import { catalogueRefusal } from '../refusal.ts';
import { signals } from '../signals.ts';
import { collectBody } from './body.ts';
import type { ReverseProxy, ReverseRequest } from './reverse-proxy.ts';
import { internalLimits, internalRate, internalTarget, passedFields, type InternalLimits } from './rules.ts';

export interface InternalRouteOptions {
  readonly clock: Clock;
  readonly reverse: ReverseProxy;
  /** The proxy's own, which the agent never sees. */
  readonly token: string;
  readonly limits?: InternalLimits;
}

/** A run may have a quarter of what is free: streams may be held for ever, and runs may collude to leave others none. */
const shareOfPlaces = 4;

/**
 * `http://sallyport.internal/chat/...`: an agent's way to the API of its own run. Policy and budget have no say here and nothing is
 * recorded, since nothing leaves for the network; an agent whose budget is used up can still ask why.
 */
export class InternalRoute {
  readonly #options: InternalRouteOptions;
  readonly #limits: InternalLimits;
  readonly #rate: FailedAttempts;
  readonly #ofRun = new Map<string, number>();
  /** Cut the answers that go on for as long as somebody listens. */
  readonly #streams = new Set<() => void>();
  #all = 0;

  constructor(options: InternalRouteOptions) {
    this.#options = options;
    this.#limits = options.limits ?? internalLimits;
    this.#rate = new FailedAttempts(() => options.clock.monotonic(), internalRate);
  }

  /** Answers the exchange on every way out; settles when nothing more will flow. Never throws. */
  readonly serve = async (exchange: Exchange, caller: Caller, egress: Egress): Promise<void> => {
    const { run_id } = caller.run;
    try {
      const target = internalTarget(egress, this.#limits);
      const fields = passedFields(exchange.head, this.#limits);
      this.#enter(run_id);
      try {
        const body = await collectBody(exchange, this.#limits, this.#options.clock);
        const identity = { authorization: `Bearer ${this.#options.token}`, 'sallyport-run': `${run_id};epoch=${caller.epoch}` };
        await this.#forward(exchange, caller, { method: egress.method, target, fields, body, identity });
      } finally {
        this.#leave(run_id);
      }
    } catch (error) {
      const { code, message, entry } = toSallyportError(error);
      if (signals.internal.hasSubscribers) signals.internal.publish({ status: entry.status });
      exchange.refuse(catalogueRefusal(code, message));
    }
  };

  /** The worker stops: streams end now, because they would only end with their run; their readers come again. */
  end(): void {
    for (const cut of this.#streams) cut();
  }

  #forward(exchange: Exchange, { run, epoch }: Caller, asked: ReverseRequest): Promise<void> {
    const { transfer } = exchange;
    return new Promise((resolve, reject) => {
      const outgoing = this.#options.reverse.send(asked);
      let answer: IncomingMessage | undefined;
      const cut = (): void => {
        this.#streams.delete(cut);
        outgoing.destroy();
        if (transfer.answered) transfer.abort();
        resolve();
      };
      transfer.events = { drained: () => { answer?.resume(); }, gone: cut };
      if (transfer.isGone) return cut();
      const timer = this.#options.clock.setTimeout(() => { outgoing.destroy(new Error(`no answer within ${this.#limits.answer_ms} ms`)); }, this.#limits.answer_ms, { background: true });
      outgoing.on('error', (cause) => {
        timer.cancel();
        if (transfer.answered) return cut();
        reject(new SallyportError('control_plane_unreachable', 'The control plane cannot be reached at present.', { cause }));
      });
      outgoing.on('response', (response) => {
        timer.cancel();
        answer = response;
        if (signals.internal.hasSubscribers) signals.internal.publish({ status: response.statusCode ?? 0 });
        if (response.headers['content-type']?.startsWith('text/event-stream') === true) this.#streams.add(cut);
        transfer.begin(headOf(response, asked.method));
        transfer.flush();
        response.on('data', (bytes: Buffer) => {
          // A stream that goes on is of the start that opened it.
          if (run.snapshot.epoch !== epoch) return cut();
          transfer.write(bytes);
          if (!transfer.flush()) response.pause();
        });
        response.on('end', () => {
          this.#streams.delete(cut);
          transfer.end([]);
          resolve();
        });
        response.on('error', cut);
        response.on('close', () => { if (!response.complete) cut(); });
      });
    });
  }

  #enter(run_id: string): void {
    const open = this.#ofRun.get(run_id) ?? 0;
    const most = Math.max(1, Math.min(this.#limits.of_run, Math.floor((this.#limits.of_worker - this.#all) / shareOfPlaces)));
    if (open >= most) throw new SallyportError('rate_limited', `A run may have ${most} requests to sallyport.internal under way at present.`);
    if (this.#all >= this.#limits.of_worker) throw new SallyportError('overloaded', 'Too many requests to sallyport.internal are under way.');
    if (!this.#rate.failed(run_id)) throw new SallyportError('rate_limited', 'This run asks sallyport.internal too often.');
    this.#ofRun.set(run_id, open + 1);
    this.#all++;
  }

  #leave(run_id: string): void {
    const open = (this.#ofRun.get(run_id) ?? 1) - 1;
    if (open === 0) this.#ofRun.delete(run_id);
    else this.#ofRun.set(run_id, open);
    this.#all--;
  }
}

function headOf(response: IncomingMessage, method: string): ResponseHead {
  const { statusCode: status = 502, statusMessage: reason = '', rawHeaders: headers } = response;
  const length = response.headers['content-length'];
  const bodiless = method === 'HEAD' || status === 204 || status === 304;
  return {
    status, reason, version: '1.1', headers, keep_alive: true,
    framing: bodiless ? { kind: 'none' } : length === undefined ? { kind: 'chunked' } : { kind: 'length', bytes: Number(length) },
  };
}
