import type { Router } from '@koa/router';
import { sql } from 'kysely';
import { SallyportError } from '../../contracts/errors.ts';
import { activeRevision } from '../proxies/commands.ts';
import type { Services } from '../services.ts';
import type { State } from './context.ts';
import { newRouter } from './router.ts';

/** For anybody, and at any load. `GET /healthz`: this process answers. `GET /readyz`: it can do its work, that is, reach its database and hand out a policy. */
export function healthRoutes(services: Services): Router<State> {
  const router = newRouter();
  router.get('/healthz', (ctx) => { ctx.body = { status: 'ok' }; });
  router.get('/readyz', async (ctx) => {
    await sql`select 1`.execute(services.database.kysely);
    if (await activeRevision(services.database.kysely) === undefined) throw new SallyportError('no_policy', 'No policy bundle is active.');
    ctx.body = { status: 'ready' };
  });
  return router;
}
