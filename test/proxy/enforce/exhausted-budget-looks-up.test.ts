/** Names below an allowed suffix are the agent's to choose, and whoever owns the zone hears them: a used-up budget must end that as well. */
import test from 'ava';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { ask, head, loopback, RawClient, startLocalOrigin, startProxyWorker } from '../../helpers/proxy-worker.ts';
import { until, within } from '../../helpers/wait.ts';

const lifetime = fileLifetime();

test('an agent whose requests are used up cannot carry data out in names that are looked up', async (t) => {
  const origin = await startLocalOrigin(lifetime);
  const found = (family: 4 | 6) => (family === 4 ? Promise.resolve({ addresses: ['127.0.0.1'], ttlSeconds: 60 }) : Promise.reject(Object.assign(new Error('none'), { code: 'ENODATA' })));
  const proxy = await startProxyWorker(lifetime, { ask: (_host, family) => found(family) });
  const allow = [{ id: 'a', host: '*.site.test', ports: [origin.port], methods: ['GET'], path_prefix: null }];
  const run = proxy.control.createRun({ policy: { allow, ...loopback }, limits: { requests: 1 } });
  await proxy.control.acknowledgedAll();
  const codes: unknown[] = [];
  for (const label of ['one', 'secret-2', 'secret-3', 'secret-4']) {
    codes.push((await ask({ port: proxy.port }, `http://${label}.site.test:${origin.port}/`, { authorization: run.authorization })).code);
  }
  t.deepEqual(codes, [undefined, 'budget_exhausted', 'budget_exhausted', 'budget_exhausted']);
  t.deepEqual(proxy.asked, ['one.site.test']);
});

test('a unit that was held while a name was looked up comes back when the name leads nowhere, and when the run ends meanwhile', async (t) => {
  let answer: (() => void) | undefined;
  const proxy = await startProxyWorker(lifetime, {
    ask: (host, family) => {
      const nothing = Object.assign(new Error('none'), { code: 'ENOTFOUND' });
      if (host !== 'slow.site.test' || family === 6) return Promise.reject(nothing);
      return new Promise((_resolve, reject) => { answer = () => { reject(nothing); }; });
    },
  });
  const allow = [{ id: 'a', host: '*.site.test', ports: [80], methods: ['GET'], path_prefix: null }];
  const run = proxy.control.createRun({ policy: { allow, ...loopback }, limits: { requests: 1 } });
  await proxy.control.acknowledgedAll();
  const asked = (label: string) => ask({ port: proxy.port }, `http://${label}.site.test/`, { authorization: run.authorization });
  for (const label of ['a', 'b', 'c']) t.is((await asked(label)).code, 'upstream_dns');
  const waiting = asked('slow');
  await until('the look-up', () => answer !== undefined);
  proxy.control.update(run, { state: 'Cancelled' });
  t.is((await within('a refusal before the name server answers', waiting)).code, 'run_ended');
  answer!();
  await proxy.control.ingested('the return of the unit', () => proxy.control.of(run, 'allowance.returned').some(({ facts }) => (facts as { returned: { requests?: number } }).returned.requests === 1));
  t.pass();
});

test('a run that floods with requests which are refused, so that they are only counted, has no names looked up meanwhile', async (t) => {
  const proxy = await startProxyWorker(lifetime, { names: { 'known.site.test': ['127.0.0.1'] } });
  const origin = await startLocalOrigin(lifetime);
  const allow = [{ id: 'a', host: '*.site.test', ports: [origin.port], methods: ['GET'], path_prefix: null }];
  const run = proxy.control.createRun({ policy: { allow, ...loopback } });
  await proxy.control.acknowledgedAll();
  const { authorization } = run;
  const place = { port: proxy.port };
  const known = () => ask(place, `http://known.site.test:${origin.port}/`, { authorization });
  t.is((await known()).status, 200);
  // Behind each other on one connection, so that no time passes in which a refusal more may be recorded.
  const client = new RawClient(place);
  const denied = 3000;
  const names = Array.from({ length: 200 }, (_, index) => `secret-${index}.site.test`);
  client.send(head('http://denied.test/', { authorization }).repeat(denied));
  for (const name of names) client.send(head(`http://${name}:${origin.port}/`, { authorization }));
  await client.until('all refusals', (text) => text.split('HTTP/1.1 ').length > denied + names.length);
  client.socket.destroy();
  const asked = proxy.asked.filter((name) => name.startsWith('secret-'));
  t.log(`${asked.length} of ${names.length} names were looked up`);
  const recorded = (): ReadonlySet<unknown> => new Set(proxy.control.of(run, 'egress.denied').map(({ payload }) => (payload as { host?: string }).host));
  await proxy.control.ingested('a record of each name that was looked up', () => asked.every((name) => recorded().has(name)));
  t.true(asked.length < names.length);
  t.is((await known()).status, 200);
});
