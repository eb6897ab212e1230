import type { Router } from '@koa/router';
import { z } from 'zod';
import { eventTypes } from '../../contracts/event.ts';
import { allow } from '../http/authentication.ts';
import type { State } from '../http/context.ts';
import { idSchema, newRouter } from '../http/router.ts';
import { pageLimit, pageOf } from '../http/pages.ts';
import { validatedQuery } from '../http/validation.ts';
import type { Services } from '../services.ts';
import { listActions } from './commands.ts';
import { exportChain } from './export.ts';
import type { Sealer } from './sealer.ts';
import { chainHead } from './sequencer.ts';

const eventsQuery = z.strictObject({
  run_id: idSchema.optional(),
  type: z.enum(eventTypes).optional(),
  cursor: idSchema.optional(),
  limit: pageLimit,
});
const exportQuery = z.strictObject({ from: z.string().regex(/^[0-9]{1,15}$/).default('0').transform(Number) });
const noQuery = z.strictObject({});

export function auditRoutes(services: Services, sealer: Sealer): Router<State> {
  const router = newRouter();

  router.get('/admin/audit/head', async (ctx) => {
    allow(ctx, 'operator');
    validatedQuery(noQuery, ctx);
    ctx.body = await chainHead(services);
  });

  router.get('/admin/audit/events', async (ctx) => {
    allow(ctx, 'operator');
    const { cursor, limit, ...filter } = validatedQuery(eventsQuery, ctx);
    ctx.body = pageOf(await listActions(services, { ...filter, before: cursor, limit: limit + 1 }), limit, ({ event }) => event.event_id);
  });

  router.get('/admin/audit/export', async (ctx) => {
    allow(ctx, 'operator');
    await exportChain(services, sealer, ctx, validatedQuery(exportQuery, ctx).from);
  });

  return router;
}
