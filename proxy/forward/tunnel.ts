import { connect } from 'node:net';
import { toSallyportError } from '../../contracts/errors.ts';
import type { DenialCode } from '../denial.ts';
import type { Outcome, Permit } from '../enforce/permit.ts';
import type { Exchange } from '../exchange.ts';
import { catalogueRefusal } from '../refusal.ts';
import { signals } from '../signals.ts';
import type { ForwardContext } from './context.ts';
import { dial, type Dialling } from './dial.ts';
import { ReadBuffer } from './read-buffer.ts';
import { Relay, type OriginSide } from './relay.ts';

/** One permitted CONNECT until it is open. The origin is dialled first, so that one that can't be reached is a refusal in HTTP. */
export class Tunnel {
  readonly #permit: Permit;
  readonly #exchange: Exchange;
  readonly #context: ForwardContext;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #began: number;
  #dialling: Dialling<OriginSide> | undefined;
  #over = false;

  constructor(permit: Permit, exchange: Exchange, context: ForwardContext, resolve: (outcome: Outcome) => void) {
    this.#permit = permit;
    this.#exchange = exchange;
    this.#context = context;
    this.#resolve = resolve;
    this.#began = context.clock.monotonic();
  }

  start(): void {
    const { clock, limits } = this.#context;
    const { transfer } = this.#exchange;
    transfer.events = { drained: () => { /* No answer is streamed. */ }, gone: () => { this.#finish('failed', 'client_gone'); } };
    if (transfer.isGone) return this.#finish('failed', 'client_gone');
    if (this.#permit.stop.reason !== undefined) return this.#onStop();
    this.#permit.stop.onStop = this.#onStop;
    this.#dialling = dial(this.#permit, open, clock, limits);
    this.#dialling.connected.then((side) => this.#connected(side)).catch((error: unknown) => {
      const problem = toSallyportError(error);
      if (problem.code === 'internal') signals.fault.publish({ where: 'tunnel', error: problem });
      this.#refuse('failed', problem.code, problem.message, problem.extras.next_steps);
    });
  }

  #connected(side: OriginSide): void {
    if (this.#over || !this.#permit.stillValid()) {
      side.socket.destroy();
      if (!this.#over) this.#onStop();
      return;
    }
    this.#over = true;
    this.#exchange.transfer.events = undefined;
    new Relay(this.#permit, this.#context, this.#exchange.openTunnel(), side, this.#began, this.#resolve).start();
  }

  readonly #onStop = (): void => {
    const reason = this.#permit.stop.reason ?? { code: 'run_ended', detail: 'The run ended before the tunnel was opened.' };
    this.#refuse('cut', reason.code, reason.detail);
  };

  #refuse(kind: 'failed' | 'cut', code: DenialCode, detail: string, next_steps?: readonly string[]): void {
    if (this.#over) return;
    this.#finish(kind, code, detail);
    this.#exchange.refuse(catalogueRefusal(code, detail, { egress_id: this.#permit.egress_id, next_steps }));
  }

  /** Of what never opened. */
  #finish(kind: Outcome['kind'], code: Outcome['code'], detail?: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#exchange.transfer.events = undefined;
    this.#permit.stop.onStop = undefined;
    this.#dialling?.cancel();
    this.#resolve({
      kind, code,
      status: undefined, response_headers: [], address: undefined, bytes_out: 0, bytes_in: 0, first_byte_ms: undefined,
      duration_ms: this.#context.clock.monotonic() - this.#began, ...(detail !== undefined && { detail }),
    });
  }
}

/** A connection whose bytes come by `read`, in a buffer that is used again. */
function open(address: string, { host, port }: { readonly host: string; readonly port: number }): OriginSide {
  const buffer = new ReadBuffer();
  // Node asks for the first buffer before `connect` has returned.
  let side: OriginSide | undefined;
  const socket = connect({
    host, port, noDelay: true, autoSelectFamily: false, allowHalfOpen: true,
    onread: {
      buffer: () => buffer.next(side?.held() ?? false),
      callback: (length) => {
        side?.read(buffer.read(length));
        return true;
      },
    },
  });
  // Between the dial and the relay nobody else listens.
  socket.on('error', ignore);
  socket.once('close', () => { buffer.end(side?.held() ?? false); });
  side = { address, socket, read: () => { /* Set once the tunnel is open. */ }, held: () => false };
  return side;
}

function ignore(): void { /* 'close' follows. */ }
