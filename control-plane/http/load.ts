import type { Middleware } from 'koa';
import { SallyportError } from '../../contracts/errors.ts';

/** Requests in work at a time; also bounds what waits for the database's connections. */
const maxInWork = 512;

/** Refuses what would only queue up. A stream is not in work once it has begun: it has a bound of its own. */
export function boundedLoad(limit: number = maxInWork): Middleware {
  let inWork = 0;
  return async (_ctx, next) => {
    if (inWork >= limit) throw new SallyportError('overloaded', `${limit} requests are being worked on.`);
    inWork++;
    try {
      await next();
    } finally {
      inWork--;
    }
  };
}
