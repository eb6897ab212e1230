import type { Router } from '@koa/router';
import { z } from 'zod';
import { SallyportError } from '../../contracts/errors.ts';
import { runStateSchema } from '../../contracts/run.ts';
import { cancelSchema, createRunSchema, transitionSchema, type CreatedRun } from '../../contracts/run-api.ts';
import { listActions } from '../audit/commands.ts';
import { asAgentSees } from '../audit/visible.ts';
import { allow, allowRun } from '../http/authentication.ts';
import { readJson } from '../http/body.ts';
import type { State } from '../http/context.ts';
import { idSchema, newRouter, pathId } from '../http/router.ts';
import { pageLimit, pageOf } from '../http/pages.ts';
import { validatedQuery } from '../http/validation.ts';
import { awaitAcknowledged } from '../proxies/commands.ts';
import type { Services } from '../services.ts';
import { getRun, heartbeat, listRuns, transitionRun, viewRun } from './commands.ts';
import { createRun } from './create.ts';
import { idempotencyKey } from './idempotency.ts';
import { progressLookUps, streamProgress } from './progress.ts';
import { awaitSettled } from './settled.ts';

/** How long `POST /chat/run` waits for proxies to know the run. */
const acknowledgementMs = 5_000;

const listQuery = z.strictObject({ session_id: idSchema.optional(), state: runStateSchema.optional(), cursor: idSchema.optional(), limit: pageLimit });
const actionsQuery = z.strictObject({ cursor: idSchema.optional(), limit: pageLimit });
const settledQuery = z.strictObject({ wait_ms: z.string().regex(/^[0-9]{1,5}$/, 'must be a number').default('0').transform(Number).pipe(z.int().max(30_000)) });
const nothing = z.strictObject({});

export function runsRoutes(services: Services): Router<State> {
  const router = newRouter();
  const lookUps = progressLookUps(services);
  const database = services.database.kysely;

  router.post('/chat/run', async (ctx) => {
    const principal = allow(ctx, 'operator', 'agent');
    if (principal.kind === 'agent') throw new SallyportError('not_supported', 'A run cannot start another one yet.', { next_steps: ['Ask the operator to start it.'] });
    const input = await readJson(ctx, createRunSchema);
    // Who may start programs here as us is who could do so without us.
    if (input.command !== undefined && !(principal.kind === 'operator' && principal.local)) throw new SallyportError('forbidden', 'Only the operator of this machine, by the socket of its data folder, may have a command started.');
    const key = idempotencyKey(ctx.get('idempotency-key') || undefined, principal, input);
    const creation = await createRun(services, { input, principal, correlation_id: ctx.state.requestId, key });
    const proxies = await awaitAcknowledged(services, creation.version, acknowledgementMs);
    const { short_id } = await getRun(database, creation.run_id);
    const created: CreatedRun = {
      ...await viewRun(services, creation.run_id),
      correlation_id: creation.correlation_id,
      agent_token: creation.agent_token,
      short_id,
      proxies,
    };
    ctx.status = 201;
    ctx.set('location', created.links.self);
    ctx.body = created;
  });

  router.get('/chat/run', async (ctx) => {
    const principal = allow(ctx, 'operator', 'agent');
    const { cursor, limit, ...filter } = validatedQuery(listQuery, ctx);
    const own = principal.kind === 'agent' ? { run_id: principal.run_id } : {};
    ctx.body = pageOf(await listRuns(services, { ...filter, ...own, before: cursor, limit: limit + 1 }), limit, ({ run_id }) => run_id);
  });

  router.get('/chat/run/:run_id', async (ctx) => {
    const run_id = pathId(ctx, 'run_id');
    allowRun(ctx, run_id);
    validatedQuery(nothing, ctx);
    ctx.body = await viewRun(services, run_id);
  });

  router.get('/chat/run/:run_id/actions', async (ctx) => {
    const run_id = pathId(ctx, 'run_id');
    const { kind } = allowRun(ctx, run_id);
    const { cursor, limit } = validatedQuery(actionsQuery, ctx);
    await getRun(database, run_id);
    const actions = await listActions(services, { run_id, before: cursor, limit: limit + 1 });
    ctx.body = pageOf(kind === 'agent' ? actions.map(asAgentSees) : actions, limit, ({ event }) => event.event_id);
  });

  router.post('/chat/run/:run_id/cancel', async (ctx) => {
    const run_id = pathId(ctx, 'run_id');
    const principal = allowRun(ctx, run_id);
    const { reason } = await readJson(ctx, cancelSchema);
    await transitionRun(services, run_id, principal, { to: 'Cancelled', reason });
    ctx.body = await viewRun(services, run_id);
  });

  router.post('/chat/run/:run_id/transition', async (ctx) => {
    const run_id = pathId(ctx, 'run_id');
    const principal = allowRun(ctx, run_id);
    await transitionRun(services, run_id, principal, await readJson(ctx, transitionSchema));
    ctx.body = await viewRun(services, run_id);
  });

  router.post('/chat/run/:run_id/heartbeat', async (ctx) => {
    const run_id = pathId(ctx, 'run_id');
    const { kind } = allowRun(ctx, run_id);
    await readJson(ctx, nothing);
    ctx.body = await heartbeat(services, run_id, kind);
  });

  router.get('/chat/run/:run_id/stream', async (ctx) => {
    const run_id = pathId(ctx, 'run_id');
    allowRun(ctx, run_id);
    validatedQuery(nothing, ctx);
    await streamProgress(services, lookUps, ctx, run_id);
  });

  router.get('/chat/run/:run_id/settled', async (ctx) => {
    const run_id = pathId(ctx, 'run_id');
    allow(ctx, 'operator');
    const { wait_ms } = validatedQuery(settledQuery, ctx);
    ctx.body = await awaitSettled(services, run_id, wait_ms);
  });

  return router;
}
