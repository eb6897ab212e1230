import test, { type ExecutionContext } from 'ava';
import { ask, head, loopback, RawClient, startLocalOrigin, startProxyWorker, type ProxyWorker } from '../../helpers/proxy-worker.ts';
import { startUpstreamProxy, type FakeUpstreamProxy, type UpstreamProxyOptions } from '../../helpers/upstream-proxy.ts';

interface Setup { readonly worker: ProxyWorker; readonly upstream: FakeUpstreamProxy; readonly port: number }

async function setUp(t: ExecutionContext, rules: (port: number) => readonly object[], options: UpstreamProxyOptions = {}, names: Readonly<Record<string, readonly string[]>> = {}): Promise<Setup> {
  const origin = await startLocalOrigin(t);
  const upstream = await startUpstreamProxy(t, { origin: origin.port, ...options });
  const worker = await startProxyWorker(t, { names: { 'site.test': ['20.30.40.50'], 'inside.test': ['10.0.0.1'], 'meta.test': ['169.254.169.254'], 'local.test': ['127.0.0.1'], ...names }, configuration: { upstream_proxies: rules(upstream.port) } });
  return { worker, upstream, port: origin.port };
}

const get = (hosts: readonly string[], ports: readonly number[]): readonly object[] => hosts.map((host) => ({ host, ports, methods: ['GET'] }));

async function runOf({ worker }: Setup, hosts: readonly string[], port: number, policy: object = {}): Promise<string> {
  const run = worker.control.createRun({ allow: get(hosts, [port]) as never, policy });
  await worker.control.acknowledgedAll();
  return run.authorization;
}

const connects = ({ upstream }: Setup): readonly string[] => upstream.asked.map((text) => text.split('\r\n')[0]!);

test('where we resolve, the upstream proxy gets the classified address, and the record says both', async (t) => {
  const scene = await setUp(t, (port) => [{ hosts: ['*'], proxy: `http://127.0.0.1:${port}`, credentials: 'user:secret' }]);
  const authorization = await runOf(scene, ['site.test'], 80);
  const answer = await ask(scene.worker, 'http://site.test/x', { authorization });
  t.is(answer.status, 200);
  t.deepEqual(connects(scene), ['CONNECT 20.30.40.50:80 HTTP/1.1']);
  t.true(scene.upstream.asked[0]!.includes(`\r\nProxy-Authorization: Basic ${Buffer.from('user:secret').toString('base64')}\r\n`));
  await scene.worker.control.ingested('the end', (events) => events.some(({ type }) => type === 'egress.completed'));
  const [decided, completed] = ['egress.decided', 'egress.completed'].map((type) => scene.worker.control.events.find((event) => event.type === type)!);
  t.like(decided!.payload, { addresses: ['20.30.40.50'], upstream_proxy: `127.0.0.1:${scene.upstream.port}` });
  t.like(completed!.payload, { address: '20.30.40.50' });
  // Only what went to the origin is charged: its head is far smaller than both heads together.
  t.true((completed!.facts as { spent: { bytes_out: number } }).spent.bytes_out < 100);
  t.false(JSON.stringify(scene.worker.control.events).includes('secret'));
});

test('where we resolve, addresses that are not public are refused before the upstream proxy hears of them', async (t) => {
  const scene = await setUp(t, (port) => [{ hosts: ['*'], proxy: `http://127.0.0.1:${port}` }]);
  const authorization = await runOf(scene, ['inside.test', 'meta.test', '169.254.169.254'], 80, { allow_addresses: ['169.254.0.0/16'] });
  t.is((await ask(scene.worker, 'http://inside.test/', { authorization })).code, 'core.non_public_address');
  t.is((await ask(scene.worker, 'http://meta.test/', { authorization })).code, 'core.metadata_address');
  t.is((await ask(scene.worker, 'http://0xa9fea9fe/', { authorization })).code, 'core.metadata_address');
  t.deepEqual(scene.upstream.asked, []);
});

test('where the proxy resolves, only a host that a rule names exactly goes there, and nothing is looked up', async (t) => {
  const scene = await setUp(t, (port) => [{ hosts: ['*'], proxy: `http://127.0.0.1:${port}`, resolve: 'there' }]);
  const authorization = await runOf(scene, ['site.test', '*.corp.test'], 80);
  t.is((await ask(scene.worker, 'http://site.test/', { authorization })).status, 200);
  const refused = await ask(scene.worker, 'http://x.corp.test/', { authorization });
  t.is(refused.code, 'core.delegated_address');
  t.regex(refused.problem.detail ?? '', /exact/);
  t.deepEqual(refused.problem.next_steps, ['Ask the operator to allow exactly this host: --allow x.corp.test:80:GET.']);
  t.is((await ask(scene.worker, 'http://169.254.169.254/', { authorization: await runOf(scene, ['169.254.169.254'], 80) })).code, 'core.metadata_address');
  t.deepEqual(connects(scene), ['CONNECT site.test:80 HTTP/1.1']);
  t.deepEqual(scene.worker.asked, []);
});

test('a CONNECT and what is inside go by the upstream proxy as well', async (t) => {
  const scene = await setUp(t, (port) => [{ hosts: ['*.test'], proxy: `http://127.0.0.1:${port}` }]);
  const run = scene.worker.control.createRun({ allow: [{ host: 'site.test', ports: [8080], methods: ['TUNNEL'] }, { host: 'site.test', ports: [80], methods: ['GET'] }] });
  await scene.worker.control.acknowledgedAll();
  for (const authority of ['site.test:8080', 'site.test:80']) {
    const client = new RawClient(scene.worker);
    t.teardown(() => client.socket.destroy());
    t.is((await client.send(head(authority, { method: 'CONNECT', authorization: run.authorization })).answer()).status, 200);
    t.is((await client.send(head('/', { host: authority })).answer()).body, 'hello\n');
  }
  t.deepEqual(connects(scene), ['CONNECT 20.30.40.50:8080 HTTP/1.1', 'CONNECT 20.30.40.50:80 HTTP/1.1']);
});

test('what means this machine, and what a rule calls direct, is dialled from here', async (t) => {
  const scene = await setUp(t, (port) => [{ hosts: ['direct.test'], proxy: 'direct' }, { hosts: ['*'], proxy: `http://127.0.0.1:${port}`, resolve: 'here' }], {}, { 'direct.test': ['127.0.0.1'] });
  const authorization = await runOf(scene, ['direct.test', 'local.test', 'localhost', '127.0.0.1'], scene.port, loopback);
  for (const host of ['direct.test', 'local.test', '127.0.0.1']) t.is((await ask(scene.worker, `http://${host}:${scene.port}/`, { authorization })).status, 200, host);
  t.deepEqual(scene.upstream.asked, []);
});

test('no run speaks to an upstream proxy by itself, by name or by address', async (t) => {
  const scene = await setUp(t, (port) => [{ hosts: ['*.corp.test'], proxy: `http://proxy.corp.test:${port}`, resolve: 'there' }], {}, { 'proxy.corp.test': ['127.0.0.1'], 'alias.test': ['127.0.0.1'] });
  const { port } = scene.upstream;
  const authorization = await runOf(scene, ['proxy.corp.test', 'alias.test', '127.0.0.1', '*.corp.test', '::ffff:7f00:1'], port, { allow_addresses: ['127.0.0.0/8', '::ffff:0:0/96'] });
  for (const host of ['proxy.corp.test', 'alias.test', '127.0.0.1', '127.1', '[::ffff:127.0.0.1]']) {
    t.is((await ask(scene.worker, `http://${host}:${port}/`, { authorization })).code, 'core.self_address', host);
  }
  t.deepEqual(scene.upstream.asked, []);
});

for (const [title, answer, status, code] of [
  ['wants other credentials', 'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="corp"\r\n\r\n', 502, 'upstream_refused'],
  ['can\'t reach the place', 'HTTP/1.1 503 No\r\n\r\n', 502, 'upstream_unreachable'],
  ['is no proxy', 'hello\r\n\r\n', 502, 'upstream_protocol'],
] as const) {
  test(`an upstream proxy that ${title} is a ${status} that names it, for a request and for a CONNECT`, async (t) => {
    const scene = await setUp(t, (port) => [{ hosts: ['*'], proxy: `http://127.0.0.1:${port}` }], { answer });
    const run = scene.worker.control.createRun({ allow: [{ host: 'site.test', ports: [80], methods: ['GET'] }, { host: 'site.test', ports: [443], methods: ['TUNNEL'] }] });
    await scene.worker.control.acknowledgedAll();
    for (const [target, method] of [['http://site.test/', 'GET'], ['site.test:443', 'CONNECT']] as const) {
      const given = await ask(scene.worker, target, { method, authorization: run.authorization });
      t.is(given.status, status);
      t.is(given.code, code);
      t.true(given.problem.detail?.includes(`The upstream proxy 127.0.0.1:${scene.upstream.port} `), given.problem.detail);
      t.deepEqual(given.problem.next_steps, ['Check the host and the port; if they are right, the operator should look at the upstream proxy.']);
      t.notRegex(given.head, /proxy-authenticate/i);
    }
  });
}

test('an upstream proxy whose name can\'t be found is told as such', async (t) => {
  const scene = await setUp(t, () => [{ hosts: ['*'], proxy: 'http://absent.corp.test:3128' }]);
  const answer = await ask(scene.worker, 'http://site.test/', { authorization: await runOf(scene, ['site.test'], 80) });
  t.is(answer.code, 'upstream_dns');
  t.regex(answer.problem.detail ?? '', /The upstream proxy for this host can't be found: absent\.corp\.test/);
});
