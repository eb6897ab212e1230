import type { Middleware } from 'koa';
import type { Clock } from '../../contracts/clock.ts';
import { uuidv7 } from '../../contracts/ids.ts';
import type { State } from './context.ts';

/** Ours, never the caller's: a problem must be found in our log by it. */
export function requestIds(clock: Clock): Middleware<State> {
  return async (ctx, next) => {
    ctx.state.requestId = uuidv7(clock.now());
    ctx.set('request-id', ctx.state.requestId);
    await next();
  };
}
