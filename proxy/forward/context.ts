import type { Clock } from '../../contracts/clock.ts';
import type { Sweep } from '../wire/sweep.ts';
import type { ForwardLimits } from './limits.ts';
import type { UpstreamPool } from './pool.ts';

/** What all exchanges of one worker share. */
export interface ForwardContext {
  readonly clock: Clock;
  readonly sweep: Sweep;
  readonly limits: ForwardLimits;
  readonly pool: UpstreamPool;
}
