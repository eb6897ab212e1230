import type { Router } from '@koa/router';
import { z } from 'zod';
import { agentReportSchema } from '../../contracts/agents.ts';
import { parsePresent } from '../../contracts/present-agents.ts';
import { allow } from '../http/authentication.ts';
import { readJson } from '../http/body.ts';
import type { State } from '../http/context.ts';
import { idSchema, newRouter } from '../http/router.ts';
import { validatedQuery } from '../http/validation.ts';
import type { Services } from '../services.ts';
import { takeReport } from './commands.ts';
import type { AgentHub } from './hub.ts';

const hostQuery = z.strictObject({
  host_id: idSchema,
  present: z.string().max(16_384).transform((text, context) => {
    const present = parsePresent(text);
    if (present !== undefined) return present;
    context.addIssue({ code: 'custom', message: 'must be run_id:epoch, joined by commas' });
    return z.NEVER;
  }).default([]),
});

export function agentsRoutes(services: Services, agents: AgentHub): Router<State> {
  const router = newRouter();

  router.get('/data-plane/agents', async (ctx) => {
    allow(ctx, 'proxy');
    const { host_id, present } = validatedQuery(hostQuery, ctx);
    await agents.attach(ctx, host_id, present);
  });

  router.post('/data-plane/agents/reports', async (ctx) => {
    allow(ctx, 'proxy');
    await takeReport(services, await readJson(ctx, agentReportSchema));
    ctx.body = {};
  });

  return router;
}
