import type { Clock } from '../contracts/clock.ts';
import type { Random } from './access/rules.ts';
import type { Database } from './database/open.ts';
import type { Streams } from './http/streams.ts';
import type { FaultListener } from './http/problems.ts';
import type { Signals } from './signals.ts';

/** What every command and loop works with; made once at start. */
export interface Services {
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly signals: Signals;
  readonly streams: Streams;
  readonly onFault: FaultListener;
  /** SHA-256 (hex) of the token that proxies show. */
  readonly proxyTokenSha256: string;
}
