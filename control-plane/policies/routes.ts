import type { Router } from '@koa/router';
import { z } from 'zod';
import { SallyportError } from '../../contracts/errors.ts';
import { allow } from '../http/authentication.ts';
import type { State } from '../http/context.ts';
import { idSchema, newRouter, pathId } from '../http/router.ts';
import { invalid, validatedQuery } from '../http/validation.ts';
import type { Services } from '../services.ts';
import { getBundle } from './commands.ts';
import { PolicyEngine } from './engine.ts';
import { readQuestion } from './question.ts';
import { explain } from './why.ts';

/** `run_id` is an operator's to give; an agent asks about its own run. */
const whyQuery = z.strictObject({ url: z.string().max(8192), method: z.string().max(40).default('GET'), run_id: idSchema.optional() });

export function policiesRoutes(services: Services): Router<State> {
  const router = newRouter();
  const policy = new PolicyEngine(services);

  router.get('/chat/why', async (ctx) => {
    const principal = allow(ctx, 'operator', 'agent');
    const { url, method, run_id: named } = validatedQuery(whyQuery, ctx);
    const agent = principal.kind === 'agent';
    if (agent && named !== undefined && named !== principal.run_id) throw new SallyportError('forbidden', 'An agent may ask only about its own run.');
    const run_id = agent ? principal.run_id : named;
    if (run_id === undefined) throw invalid([{ path: 'run_id', message: 'is missing: which run would send it?' }]);
    const question = readQuestion(url, method);
    ctx.body = await explain(services, await policy.current(), run_id, question, agent);
  });

  router.get('/data-plane/bundles/:revision', async (ctx) => {
    allow(ctx, 'proxy', 'operator');
    const body = await getBundle(services, pathId(ctx, 'revision'));
    ctx.set('cache-control', 'private, immutable, max-age=31536000');
    ctx.type = 'application/octet-stream';
    ctx.body = body;
  });
  return router;
}
