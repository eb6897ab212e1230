import type { Middleware } from 'koa';
import { SallyportError } from '../../contracts/errors.ts';

interface Matched {
  readonly matched?: readonly { readonly methods: readonly string[] }[];
}

/** The last step: no route has answered. A path that exists says which methods it takes (RFC 9110, section 15.5.6). */
export const notFound: Middleware = (ctx) => {
  const methods = [...new Set((ctx as Matched).matched?.flatMap((layer) => layer.methods) ?? [])].sort();
  if (methods.length === 0) throw new SallyportError('not_found', `There is nothing at ${ctx.path}.`);
  ctx.set('allow', methods.join(', '));
  throw new SallyportError('method_not_allowed', `${ctx.path} takes ${methods.join(', ')}, not ${ctx.method}.`);
};
