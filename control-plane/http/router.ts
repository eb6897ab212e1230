import { Router } from '@koa/router';
import { z } from 'zod';
import { SallyportError } from '../../contracts/errors.ts';
import type { Context, State } from './context.ts';

/** A slice's routes. One path, one spelling: no trailing slash, no other case. */
export function newRouter(): Router<State> {
  return new Router<State>({ strict: true, sensitive: true });
}

/** Ids and cursors in a path or a query: what ours look like, and nothing that Postgres could not store (U+0000). */
export const idSchema = z.string().regex(/^[\w.:-]{1,100}$/, 'must be an id');

/** A part of the path; what can't be an id is not found. */
export function pathId(ctx: Context, name: string): string {
  const id = ctx.params[name];
  if (id === undefined || !idSchema.safeParse(id).success) throw new SallyportError('not_found', `There is nothing at ${ctx.path}.`);
  return id;
}
