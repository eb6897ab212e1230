import type { Router } from '@koa/router';
import { allow } from '../http/authentication.ts';
import type { State } from '../http/context.ts';
import { newRouter, pathId } from '../http/router.ts';
import type { Services } from '../services.ts';
import { getBundle } from './commands.ts';

export function policiesRoutes(services: Services): Router<State> {
  const router = newRouter();
  router.get('/data-plane/bundles/:revision', async (ctx) => {
    allow(ctx, 'proxy', 'operator');
    const body = await getBundle(services, pathId(ctx, 'revision'));
    ctx.set('cache-control', 'private, immutable, max-age=31536000');
    ctx.type = 'application/octet-stream';
    ctx.body = body;
  });
  return router;
}
