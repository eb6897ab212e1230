import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Outcome, Permit } from '../enforce/permit.ts';
import type { Exchange } from '../exchange.ts';
import type { Sweep } from '../wire/sweep.ts';
import type { ForwardContext } from './context.ts';
import { Http1Exchange } from './http1-exchange.ts';
import { Http2Exchange } from './http2/exchange.ts';
import { Http2Sessions, type OriginOfRun } from './http2/sessions.ts';
import type { ForwardLimits } from './limits.ts';
import { TlsSessions } from './tls/sessions.ts';
import { UpstreamPool } from './pool.ts';
import { originContext } from './tls/roots.ts';
import { Tunnel } from './tunnel.ts';

export interface ForwarderOptions {
  readonly clock: Clock;
  readonly sweep: Sweep;
  readonly limits: ForwardLimits;
  /** Authorities in PEM that origins may have their certificates from, beside the system's. */
  readonly upstreamCa?: string | undefined;
}

export interface Forwarder {
  /**
   * Sends what the permit allows and answers the exchange on every way out: with the origin's answer, a refusal of an `upstream_*`
   * code while the client has no byte of an answer, or by closing its connection. Resolves when nothing more will flow.
   */
  readonly forward: (permit: Permit, exchange: Exchange) => Promise<Outcome>;
  /** Whether the origin agreed on HTTP/2 inside TLS when this run asked it last; undefined where it did not ask lately. */
  readonly speaksHttp2: (origin: OriginOfRun) => boolean | undefined;
  /** Closes idle connections to origins. What is under way goes on until it ends or its permit stops it. */
  readonly close: () => void;
}

/** The only taker of `Permit`, one for each worker. */
export function createForwarder({ clock, sweep, limits, upstreamCa }: ForwarderOptions): Forwarder {
  const shared = { clock, sweep, limits, pool: new UpstreamPool(limits), secureContext: originContext(upstreamCa), sessions: new TlsSessions() };
  const http2 = new Http2Sessions(shared);
  const context: ForwardContext = { ...shared, http2 };
  return {
    forward: (permit, exchange) => {
      const { head, form } = exchange;
      // The permit is for what was judged; anything else would go out unjudged.
      if ((permit.kind === 'tunnel') !== (form.kind === 'connect') || head.method !== permit.method || (head.upgrade === undefined && permit.upgrade !== undefined)) {
        return Promise.reject(new SallyportError('internal', 'The permit is not for this exchange.'));
      }
      return new Promise((resolve) => {
        if (permit.kind === 'tunnel') new Tunnel(permit, exchange, context, resolve).start();
        else if (head.version === '2') new Http2Exchange(permit, exchange, context, resolve).start();
        else new Http1Exchange(permit, exchange, context, resolve).start();
      });
    },
    speaksHttp2: (origin) => http2.speaksHttp2(origin),
    close: () => {
      context.pool.close();
      http2.close();
    },
  };
}
