import test from 'ava';
import Koa from 'koa';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../../contracts/clock.ts';
import type { Problem } from '../../../contracts/errors.ts';
import type { State } from '../../../control-plane/http/context.ts';
import { boundedLoad } from '../../../control-plane/http/load.ts';
import { problems } from '../../../control-plane/http/problems.ts';
import { requestIds } from '../../../control-plane/http/request-id.ts';
import { until } from '../../helpers/wait.ts';
import { call } from '../harness.ts';

async function serve(t: { teardown(fn: () => void): void }, app: Koa<State>) {
  const server = createServer(app.callback()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

test('what we did not foresee shows nothing of itself, and is told to us', async (t) => {
  const told: [string, string][] = [];
  const app = new Koa<State>();
  app.use(requestIds(systemClock));
  app.use(problems((error, id) => { told.push([error.message, id]); }));
  app.use(() => { throw new Error('password is hunter2'); });
  const answer = await call<Problem>(await serve(t, app), 'GET', '/');
  t.like(answer, { status: 500, body: { code: 'internal', detail: 'Internal error' } });
  t.false(answer.text.includes('hunter2'));
  t.deepEqual(told, [['password is hunter2', answer.body.instance!]]);
});

test('beyond the requests in work others are refused at once, and taken again afterwards', async (t) => {
  const gate = Promise.withResolvers<void>();
  let inWork = 0;
  const app = new Koa<State>();
  app.use(requestIds(systemClock));
  app.use(problems(() => { /* Nobody listens. */ }));
  app.use(boundedLoad(2));
  app.use(async (ctx) => {
    inWork++;
    await gate.promise;
    ctx.body = 'done';
  });
  const target = await serve(t, app);
  const first = [call(target, 'GET', '/'), call(target, 'GET', '/')];
  await until('two in work', () => inWork === 2);
  t.like(await call(target, 'GET', '/'), { status: 503, headers: { 'retry-after': '1' }, body: { code: 'overloaded' } });
  gate.resolve();
  t.deepEqual((await Promise.all(first)).map(({ status }) => status), [200, 200]);
  t.is((await call(target, 'GET', '/')).status, 200);
});
