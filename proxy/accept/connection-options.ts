import type { Exchange, Form, Source } from '../exchange.ts';
import type { Sweep } from '../wire/sweep.ts';
import type { AcceptLimits } from './limits.ts';
import type { OnRefused } from './refused.ts';

/** Answers every exchange, by `refuse`, by `openTunnel` or through `forward/`. One left unanswered is refused as `internal`. */
export type Handler = (exchange: Exchange) => Promise<void>;

export interface ConnectionOptions {
  readonly source: Source;
  /** Set for HTTP inside a CONNECT. */
  readonly inside: Extract<Form, { kind: 'inside' }> | undefined;
  readonly limits: AcceptLimits;
  readonly sweep: Sweep;
  readonly onRefused?: OnRefused;
}
