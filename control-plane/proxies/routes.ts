import type { Router } from '@koa/router';
import { z } from 'zod';
import { acknowledgementSchema, dataPlaneVersion, drawSchema, returnSchema } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { ingest, segmentLimit } from '../audit/ingest.ts';
import { takeReturn } from '../budgets/commands.ts';
import { allow } from '../http/authentication.ts';
import { readBody, readJson } from '../http/body.ts';
import type { State } from '../http/context.ts';
import { idSchema, newRouter } from '../http/router.ts';
import { answerProblem } from '../http/problems.ts';
import { validatedQuery } from '../http/validation.ts';
import type { Services } from '../services.ts';
import { acknowledge, draw, listProxies } from './commands.ts';
import type { Hub } from './hub.ts';

const streamQuery = z.strictObject({
  proxy_id: idSchema,
  journal_id: idSchema.optional(),
  protocol: z.string().regex(/^[0-9]{1,4}$/).default(String(dataPlaneVersion)),
});
const noQuery = z.strictObject({});

export function proxiesRoutes(services: Services, hub: Hub): Router<State> {
  const router = newRouter();

  router.get('/data-plane/stream', async (ctx) => {
    allow(ctx, 'proxy');
    const { proxy_id, journal_id, protocol } = validatedQuery(streamQuery, ctx);
    if (Number(protocol) !== dataPlaneVersion) {
      throw new SallyportError('not_supported', `This control plane speaks version ${dataPlaneVersion} of the data-plane protocol, the proxy ${protocol}.`);
    }
    await hub.attach(ctx, proxy_id, journal_id);
  });

  router.post('/data-plane/acknowledgements', async (ctx) => {
    allow(ctx, 'proxy');
    await acknowledge(services, await readJson(ctx, acknowledgementSchema));
    ctx.body = {};
  });

  router.post('/data-plane/allowances', async (ctx) => {
    allow(ctx, 'proxy');
    ctx.body = await draw(services, await readJson(ctx, drawSchema));
  });

  router.post('/data-plane/returns', async (ctx) => {
    allow(ctx, 'proxy');
    await takeReturn(services, await readJson(ctx, returnSchema));
    ctx.body = {};
  });

  router.post('/data-plane/events', async (ctx) => {
    allow(ctx, 'proxy');
    const outcome = await ingest(services, await readBody(ctx, segmentLimit));
    switch (outcome.status) {
      case 'gap': {
        const { journal_id, sequence, expected } = outcome;
        const error = new SallyportError('journal_gap', `Segment ${sequence} of journal ${journal_id} came where ${expected} is the next.`);
        answerProblem(ctx, error, { expected });
        break;
      }
      case 'forked':
        throw new SallyportError('journal_forked', `Segment ${outcome.sequence} of journal ${outcome.journal_id} is not the one that was sent before, or does not follow it.`);
      default:
        ctx.body = outcome;
    }
  });

  router.get('/admin/proxies', async (ctx) => {
    allow(ctx, 'operator');
    validatedQuery(noQuery, ctx);
    ctx.body = { items: await listProxies(services), next_cursor: null };
  });

  return router;
}
