import { SallyportError } from '../contracts/errors.ts';
import { acceptInside, type InsideConnection, type InsideOptions, type Other } from './accept/inside.ts';
import type { AcceptLimits } from './accept/limits.ts';
import type { OnRefused } from './accept/refused.ts';
import type { Handler } from './accept/connection-options.ts';
import { coreDenial, denialOf, type Denial } from './denial.ts';
import type { Egress } from './describe/egress.ts';
import { needsInterception } from './enforce/verdict.ts';
import type { Exchange, Refusal } from './exchange.ts';
import type { Caller } from './identify/identify.ts';
import type { TerminateOptions } from './intercept/terminate.ts';
import type { Sweep } from './wire/sweep.ts';

export interface InsideContext {
  readonly limits: AcceptLimits;
  readonly sweep: Sweep;
  readonly onRefused: OnRefused;
  /** How TLS of a run towards a host is ended, by what the client offers. Throws where no certificate can be made. */
  readonly tlsFor: (run_id: string, host: string, port: number, offered: readonly string[]) => Pick<TerminateOptions, 'context' | 'protocols'>;
}

/** The connections within CONNECTs of one worker whose inside is looked at. */
export class InsideConnections {
  readonly #context: InsideContext;
  readonly #open = new Set<InsideConnection>();

  constructor(context: InsideContext) {
    this.#context = context;
  }

  /** Opens the tunnel and reads what comes through it; each request is `handler`'s. `denied` hears of what can't be judged, and is not answered. */
  accept(exchange: Exchange, egress: Egress, caller: Caller, intercept: boolean, handler: Handler, denied: (denial: Denial) => void): void {
    acceptInside(exchange.openTunnel(), {
      ...this.#options(exchange, egress, caller, intercept),
      onRefused: this.#context.onRefused,
      onConnection: (connection, stream) => {
        this.#open.add(connection);
        stream.once('close', () => this.#open.delete(connection));
      },
      onOther: (other) => {
        const denial = denialByOther(other, egress);
        if (denial !== undefined) denied(denial);
      },
    }, handler);
  }

  /** Opens the tunnel to say why it leads nowhere: most clients show no more of an answer to CONNECT than its status. */
  refuse(exchange: Exchange, egress: Egress, caller: Caller, refusal: Refusal): void {
    let opened: InsideConnection | undefined;
    acceptInside(exchange.openTunnel(), {
      ...this.#options(exchange, egress, caller, true),
      onConnection: (connection) => { opened = connection; },
      // What has no form that is handled ends it as well; it would be refused for as long as it is asked, and nobody would count it.
      onRefused: () => {
        opened?.stop();
        return refusal.egress_id;
      },
      onOther: () => { /* The refusal is recorded already. */ },
    }, (inside) => {
      // Nothing else comes of it; what HTTP/2 asks in the moment that is left gets the same answer.
      opened?.stop();
      inside.refuse(refusal);
      return Promise.resolve();
    });
  }

  #options(exchange: Exchange, { host, port, authority }: Egress, caller: Caller, intercept: boolean): Omit<InsideOptions, 'onOther'> {
    const { limits, sweep, tlsFor } = this.#context;
    return {
      source: exchange.source, form: { kind: 'inside', authority, caller, tls: undefined }, host, limits, sweep,
      tls: intercept ? (offered) => tlsFor(caller.run.run_id, host, port, offered) : undefined,
    };
  }

  /** Each has a moment for what is on its way. */
  stop(): void {
    for (const connection of this.#open) connection.stop();
  }
}

function denialByOther(other: Other, egress: Egress): Denial | undefined {
  switch (other.kind) {
    case 'closed': return undefined;
    case 'tls': return needsInterception(egress, []);
    case 'unknown': return denialOf(new SallyportError('not_supported', 'What is inside the tunnel is not HTTP, so it cannot be judged.'));
    case 'silent': return denialOf(new SallyportError('not_supported', 'Nothing came through the tunnel, and a server that speaks first is not supported unless the host is allowed as a tunnel.'));
    case 'handshake': return denialOf(new SallyportError('interception_failed', `TLS inside the tunnel came to nothing: ${other.problem}.`));
    case 'fault': return denialOf(other.error instanceof SallyportError ? other.error : new SallyportError('internal', String(other.error), { cause: other.error }));
    case 'refused': {
      const { code, detail } = other.refused;
      if (code.startsWith('core.')) return coreDenial(code as `core.${string}`, detail, { next_steps: ['Name the same host in the CONNECT and in TLS (SNI).'] });
      return denialOf(new SallyportError(code as 'bad_request', detail));
    }
  }
}
