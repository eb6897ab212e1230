import Koa from 'koa';
import { toSallyportError } from '../contracts/errors.ts';
import type { AgentHub } from './agents/hub.ts';
import { agentsRoutes } from './agents/routes.ts';
import { auditRoutes } from './audit/routes.ts';
import type { Sealer } from './audit/sealer.ts';
import { agentLimit } from './http/agent-limit.ts';
import { authentication } from './http/authentication.ts';
import type { State } from './http/context.ts';
import { healthRoutes } from './http/health.ts';
import { boundedLoad } from './http/load.ts';
import { OwnMetrics } from './http/metrics-own.ts';
import { metricsRoutes } from './http/metrics-routes.ts';
import { notFound } from './http/not-found.ts';
import { problems } from './http/problems.ts';
import { requestIds } from './http/request-id.ts';
import { policiesRoutes } from './policies/routes.ts';
import type { Hub } from './proxies/hub.ts';
import { proxiesRoutes } from './proxies/routes.ts';
import { runsRoutes } from './runs/routes.ts';
import type { Services } from './services.ts';

/** The steps of a request, in order. */
export function createApp(services: Services, hub: Hub, agents: AgentHub, sealer: Sealer): Koa<State> {
  const app = new Koa<State>();
  // What comes here was not thrown by a step: a client that left before its answer was written is no fault of ours.
  app.on('error', (error: NodeJS.ErrnoException) => { if (!ofConnection(error)) services.onFault(toSallyportError(error), 'http'); });
  const own = new OwnMetrics(services.clock);
  const metrics = metricsRoutes(services, own);
  app.use(own.count);
  app.use(requestIds(services.clock));
  app.use(problems(services.onFault));
  app.use(healthRoutes(services).routes());
  app.use(boundedLoad());
  app.use(metrics.read.routes());
  app.use(authentication(services));
  app.use(agentLimit(services.clock));
  app.use(metrics.push.routes());
  app.use(runsRoutes(services).routes());
  app.use(proxiesRoutes(services, hub).routes());
  app.use(agentsRoutes(services, agents).routes());
  app.use(policiesRoutes(services).routes());
  app.use(auditRoutes(services, sealer).routes());
  app.use(notFound);
  return app;
}

/** A call of the system on its socket, or the parser (llhttp) at the end of half a request. */
function ofConnection({ syscall, code }: NodeJS.ErrnoException): boolean {
  return syscall !== undefined || code?.startsWith('HPE_') === true;
}
