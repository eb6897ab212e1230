import test from 'ava';
import { ask, loopback, startLocalOrigin, startProxyWorker } from '../helpers/proxy-worker.ts';

test('an allowed request reaches the origin, is answered, recorded and settled', async (t) => {
  const origin = await startLocalOrigin(t);
  const proxy = await startProxyWorker(t, { names: { 'site.test': ['127.0.0.1'] } });
  const run = proxy.control.createRun({ allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }], policy: loopback });
  await proxy.control.acknowledgedAll();
  const answer = await ask(proxy, `http://site.test:${origin.port}/page?x=1`, { authorization: run.authorization });
  t.is(answer.status, 200, answer.body);
  t.is(answer.body, 'hello\n');
  t.deepEqual(origin.requests.map(({ method, url }) => [method, url]), [['GET', '/page?x=1']]);
  await proxy.control.ingested('the completion', () => proxy.control.of(run, 'egress.completed').length === 1);
  t.is(proxy.control.used(run, 'requests'), 1);
});
