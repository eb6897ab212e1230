import test, { type ExecutionContext } from 'ava';
import type { UpstreamProxyRule } from '../../../proxy/enforce/upstream-proxy-rules.ts';
import { indexRules, readProxyUrl, ruleOf, upstreamProxiesSchema } from '../../../proxy/enforce/upstream-proxy-rules.ts';
import { ask, head, loopback, RawClient, startLocalOrigin, startProxyWorker, type ProxyWorker } from '../../helpers/proxy-worker.ts';
import { startUpstreamProxy, type FakeUpstreamProxy, type UpstreamProxyOptions } from '../../helpers/upstream-proxy.ts';

const rule = (...hosts: readonly string[]): UpstreamProxyRule => ({ hosts: [...hosts], proxy: 'direct', resolve: 'here' });

test('the first rule that names a host decides', (t) => {
  const index = indexRules([rule('a.corp.test', '20.0.0.1'), rule('*.corp.test'), rule('*.b.corp.test', 'a.corp.test'), rule('*'), rule('late.test')]);
  for (const [host, position] of [['a.corp.test', 0], ['b.corp.test', 1], ['x.b.corp.test', 1], ['corp.test', 3], ['acorp.test', 3], ['20.0.0.1', 0], ['20.0.0.2', 3], ['::1', 3], ['late.test', 3]] as const) {
    t.is(ruleOf(index, host), position, host);
  }
  t.is(ruleOf(indexRules([rule('a.test')]), 'b.test'), undefined);
});

test('the address of a proxy is a host and a port, and nothing else', (t) => {
  t.deepEqual(readProxyUrl('http://Proxy.Corp.test:3128/'), { host: 'proxy.corp.test', port: 3128 });
  t.deepEqual(readProxyUrl('http://[fd00::1]:8080'), { host: 'fd00::1', port: 8080 });
  for (const text of ['', 'proxy.corp.test:3128', 'https://proxy.corp.test:3128', 'http://proxy.corp.test', 'http://u:p@proxy.corp.test:3128', 'http://proxy.corp.test:3128/x', 'socks5://proxy.corp.test:1080', 'http://:3128']) {
    t.is(typeof readProxyUrl(text), 'string', text);
  }
});

test('rules are read strictly, and every mistake has its place', (t) => {
  const parsed = upstreamProxiesSchema.safeParse([
    { hosts: ['*.corp.test', '*'], proxy: 'http://proxy.corp.test:3128', resolve: 'there', credentials: 'user:pass word' },
    { hosts: [], proxy: 'direct' }, { hosts: ['Corp.test'], proxy: 'direct' }, { hosts: ['*'], proxy: 'https://p.test:1' }, { hosts: ['*'], proxy: 'direct', resolve: 'there' },
    { hosts: ['*'], proxy: 'http://p.test:1', credentials: 'nocolon' }, { hosts: ['*'], proxy: 'http://p.test:1', credentials: 'a:b\r\nX: y' }, { hosts: ['*'], proxy: 'direct', extra: 1 },
  ]);
  t.deepEqual(parsed.error?.issues.map(({ path }) => path.join('.')), ['1.hosts', '2.hosts.0', '3.proxy', '4.proxy', '5.credentials', '6.credentials', '7']);
});

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
