import type { Router } from '@koa/router';
import { metricsPushSchema } from '../../contracts/metrics.ts';
import type { Services } from '../services.ts';
import { allow, metricsAccess } from './authentication.ts';
import { readJson } from './body.ts';
import type { State } from './context.ts';
import type { MetricsText } from './metrics-text.ts';
import type { OwnMetrics } from './metrics-own.ts';
import { ProxyMetrics } from './metrics-proxies.ts';
import { newRouter } from './router.ts';

/** Answers are made at most this often: reading needs no credentials on this machine, and asks the database. */
const everyMs = 1_000;

/** `GET /metrics`, which has its own say about who may read it, and `POST /data-plane/metrics`. */
export function metricsRoutes(services: Services, own: OwnMetrics): { readonly read: Router<State>; readonly push: Router<State> } {
  const proxies = new ProxyMetrics(services.clock);
  const read = newRouter();
  const push = newRouter();
  const mayRead = metricsAccess(services);
  let writer: Promise<MetricsText> | undefined;
  let answer: { readonly at: number; readonly text: Promise<string> } | undefined;

  const write = async (): Promise<string> => {
    // Read in when it is first asked for: a start is shorter without it.
    writer ??= import('./metrics-text.ts').then(({ metricsText }) => metricsText());
    return await (await writer).write([...await own.families(services), ...proxies.families()]);
  };

  read.get('/metrics', async (ctx) => {
    await mayRead(ctx.req);
    const now = services.clock.monotonic();
    if (answer === undefined || now - answer.at >= everyMs) answer = { at: now, text: write() };
    ctx.body = await answer.text;
    ctx.set('content-type', (await writer)!.contentType);
  });

  push.post('/data-plane/metrics', async (ctx) => {
    allow(ctx, 'proxy');
    proxies.take(await readJson(ctx, metricsPushSchema));
    ctx.body = {};
  });

  return { read, push };
}
