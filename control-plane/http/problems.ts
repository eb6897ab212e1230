import type { Middleware, ParameterizedContext } from 'koa';
import { toProblem, toSallyportError, type SallyportError } from '../../contracts/errors.ts';
import { toDatabaseError } from '../database/failures.ts';
import type { State } from './context.ts';

/** Told of every error that is our own fault or the database's. */
export type FaultListener = (error: SallyportError, requestId: string) => void;

/** Whatever a step throws becomes a problem document (RFC 9457); what we did not foresee shows nothing of itself. */
export function problems(onFault: FaultListener): Middleware<State> {
  return async (ctx, next) => {
    try {
      await next();
    } catch (thrown) {
      const error = toSallyportError(toDatabaseError(thrown));
      if (error.entry.status >= 500) onFault(error, ctx.state.requestId);
      if (ctx.headerSent) {
        // A stream that has begun can only be broken off.
        ctx.res.destroy();
        return;
      }
      answerProblem(ctx, error);
    }
  };
}

/** `extra` adds fields of one code to the document, such as `expected` of a journal gap. */
export function answerProblem(ctx: ParameterizedContext<State>, error: SallyportError, extra: Readonly<Record<string, unknown>> = {}): void {
  const problem = toProblem(error, ctx.state.requestId);
  ctx.status = problem.status;
  if (problem.retry_after !== undefined) ctx.set('retry-after', String(problem.retry_after));
  if (problem.status === 401) ctx.set('www-authenticate', 'Bearer');
  ctx.body = JSON.stringify({ ...problem, ...extra });
  ctx.type = 'application/problem+json';
}
