import type { SecureContext } from 'node:tls';
import type { Clock } from '../../contracts/clock.ts';
import type { Sweep } from '../wire/sweep.ts';
import type { Http2Sessions } from './http2/sessions.ts';
import type { ForwardLimits } from './limits.ts';
import type { TlsSessions } from './tls/sessions.ts';
import type { UpstreamPool } from './pool.ts';

/** What all connections to origins of one worker share. */
export interface DialContext {
  readonly clock: Clock;
  readonly sweep: Sweep;
  readonly limits: ForwardLimits;
  readonly pool: UpstreamPool;
  /** What TLS with origins has in common; made by the first call. Throws `upstream_tls` where no authority is known. */
  readonly secureContext: () => SecureContext;
  readonly sessions: TlsSessions;
}

/** What all exchanges of one worker share. */
export interface ForwardContext extends DialContext {
  readonly http2: Http2Sessions;
}
