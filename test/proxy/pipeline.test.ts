/** What an agent tries, and what the origin sees of it. Each refusal is heard with its code and recorded, and costs nothing. */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import test from 'ava';
import { setImmediate as turn } from 'node:timers/promises';
import { fileLifetime } from '../helpers/lifetime.ts';
import { ask, head, loopback, RawClient, runSocket, startLocalOrigin, startLocalServer, startProxyWorker, type LocalOrigin, type ProxyWorker, type RequestOptions } from '../helpers/proxy-worker.ts';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { until } from '../helpers/wait.ts';
import { echo, frame, handshakeFields } from '../helpers/web-socket.ts';

const lifetime = fileLifetime();
let origin: LocalOrigin;
let other: LocalOrigin;
let proxy: ProxyWorker;
let run: FakeRun;

const names = {
  'site.test': ['127.0.0.1'], 'other.test': ['127.0.0.1'], 'private.test': ['10.1.2.3'], 'metadata.test': ['169.254.169.254'],
  'mixed.test': ['127.0.0.1', '10.1.2.3'], 'embedded.test': ['64:ff9b::a01:203'], 'mapped.test': ['::ffff:169.254.169.254'],
};

test.before(async () => {
  origin = await startLocalOrigin(lifetime);
  other = await startLocalOrigin(lifetime);
  proxy = await startProxyWorker(lifetime, { names });
  const hosts = [...Object.keys(names), 'localhost', 'absent.test', '127.0.0.1', '169.254.169.254', '10.1.2.3'];
  run = proxy.control.createRun({
    allow: [
      ...hosts.map((host) => ({ host, ports: [origin.port, 443], methods: ['GET'] })),
      { host: '127.0.0.1', ports: [proxy.port], methods: ['GET'] },
      { host: 'prefix.test', ports: [origin.port], methods: ['GET'], path_prefix: '/api' },
      { host: 'sallyport.internal', ports: [80, 3129], methods: ['GET'] },
    ],
    policy: loopback,
  });
  await proxy.control.acknowledgedAll();
});

interface Attack {
  readonly title: string;
  readonly target: () => string;
  readonly options?: () => RequestOptions;
  readonly code: string;
  readonly status: number;
}

const at = (host: string, path: string = '/'): string => `http://${host}:${origin.port}${path}`;

const attacks: readonly Attack[] = [
  { title: 'a host that nothing allows', target: () => at('evil.test'), code: 'policy_denied', status: 403 },
  { title: 'another port of an allowed host', target: () => `http://site.test:${other.port}/`, code: 'policy_denied', status: 403 },
  { title: 'another method', target: () => at('site.test'), options: () => ({ method: 'DELETE' }), code: 'policy_denied', status: 403 },
  { title: 'a path beside the allowed prefix', target: () => at('prefix.test', '/apix'), code: 'policy_denied', status: 403 },
  { title: 'a path out of the prefix by dot segments', target: () => at('prefix.test', '/api/../x'), code: 'path_not_canonical', status: 400 },
  { title: 'the same with the dots encoded', target: () => at('prefix.test', '/api/%2e%2e/x'), code: 'path_not_canonical', status: 400 },
  { title: 'a Host that names another allowed host', target: () => at('site.test'), options: () => ({ host: `other.test:${origin.port}` }), code: 'core.host_mismatch', status: 403 },
  { title: 'a Host that names another port', target: () => at('site.test'), options: () => ({ host: `site.test:${other.port}` }), code: 'core.host_mismatch', status: 403 },
  { title: 'a Host that cannot be read', target: () => at('site.test'), options: () => ({ host: 'site.test:x' }), code: 'ambiguous_target', status: 400 },
  { title: 'user information before the host', target: () => `http://site.test@evil.test:${origin.port}/`, options: () => ({ host: `evil.test:${origin.port}` }), code: 'ambiguous_target', status: 400 },
  { title: 'a private address by name', target: () => at('private.test'), code: 'core.non_public_address', status: 403 },
  { title: 'a private address by number', target: () => at('10.1.2.3'), code: 'core.non_public_address', status: 403 },
  { title: 'one private address among allowed ones', target: () => at('mixed.test'), code: 'core.non_public_address', status: 403 },
  { title: 'a private address inside an IPv6 one', target: () => at('embedded.test'), code: 'core.non_public_address', status: 403 },
  { title: 'the metadata address by name', target: () => at('metadata.test'), code: 'core.metadata_address', status: 403 },
  { title: 'the metadata address by number', target: () => at('169.254.169.254'), code: 'core.metadata_address', status: 403 },
  { title: 'the metadata address in decimal', target: () => at('2852039166'), code: 'core.metadata_address', status: 403 },
  { title: 'the metadata address mapped into IPv6', target: () => at('mapped.test'), code: 'core.metadata_address', status: 403 },
  { title: 'the proxy itself', target: () => `http://127.0.0.1:${proxy.port}/`, code: 'core.self_address', status: 403 },
  { title: 'another name below the control plane\'s', target: () => 'http://api.sallyport.internal/', code: 'core.self_address', status: 403 },
  { title: 'the control plane\'s name on another port', target: () => 'http://sallyport.internal:3129/', code: 'core.self_address', status: 403 },
  { title: 'a name that does not exist', target: () => at('absent.test'), code: 'upstream_dns', status: 502 },
  { title: 'another protocol than a web socket', target: () => at('site.test'), options: () => ({ fields: ['Connection: Upgrade', 'Upgrade: spdy/3.1'] }), code: 'not_supported', status: 501 },
  { title: 'https in absolute form', target: () => 'https://site.test/', code: 'not_supported', status: 501 },
  { title: 'another scheme', target: () => 'ftp://site.test/', code: 'not_supported', status: 501 },
  { title: 'a path alone', target: () => '/etc/passwd', options: () => ({ host: 'site.test' }), code: 'bad_request', status: 400 },
  { title: 'TLS through a host that is not allowed as a tunnel', target: () => 'site.test:443', options: () => ({ method: 'CONNECT' }), code: 'needs_interception', status: 403 },
  { title: 'a CONNECT to a host that nothing allows', target: () => 'evil.test:80', options: () => ({ method: 'CONNECT' }), code: 'policy_denied', status: 403 },
];

const heard: (readonly [string | undefined, string])[] = [];

for (const { title, target, options, code, status } of attacks) {
  test.serial(`refused as ${code}: ${title}`, async (t) => {
    const seen = [origin.requests.length, other.requests.length];
    const answer = await ask(proxy, target(), { authorization: run.authorization, ...options?.() });
    t.is(answer.code, code, answer.body);
    t.is(answer.status, status);
    t.true((answer.problem.detail ?? '').length > 10);
    t.true((answer.problem.next_steps ?? []).length > 0);
    t.deepEqual([origin.requests.length, other.requests.length], seen);
    heard.push([/"instance": *"([^"]+)"/.exec(answer.body)?.[1], code]);
  });
}

test.serial('each of these refusals is recorded once under the id that the agent was told, and none cost anything', async (t) => {
  await proxy.control.ingested('the refusals', () => proxy.control.of(run).length >= heard.length);
  t.deepEqual(proxy.control.of(run).map(({ type, facts }) => [type, facts['egress_id'], facts['code']]), heard.map(([id, code]) => ['egress.denied', id, code]));
  t.is(proxy.control.used(run, 'requests'), 0);
});

test.serial('a name that policy denies is never looked up', async (t) => {
  await ask(proxy, at('secret-in-the-name.test'), { authorization: run.authorization });
  t.false(proxy.asked.includes('secret-in-the-name.test'));
});

test.serial('other spellings of an allowed host are that host', async (t) => {
  for (const host of ['SITE.TEST', 'site.test.', 'Site.Test']) {
    const answer = await ask(proxy, at(host, '/spelled'), { authorization: run.authorization });
    t.is(answer.status, 200, `${host}: ${answer.body}`);
    t.is(origin.requests.at(-1)?.headers.host, `site.test:${origin.port}`);
  }
});

test.serial('localhost is loopback whatever a name server says, and needs its range like any address', async (t) => {
  t.is((await ask(proxy, at('localhost'), { authorization: run.authorization })).code, 'core.non_public_address');
  t.false(proxy.asked.includes('localhost'));
});

test.serial('the run\'s own --resolve is used, and what it names is classified', async (t) => {
  const resolving = proxy.control.createRun({
    allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }, { host: 'absent.test', ports: [origin.port], methods: ['GET'] }],
    policy: { ...loopback, resolve: [{ host: 'absent.test', port: origin.port, address: '127.0.0.1' }, { host: 'site.test', port: origin.port, address: '10.9.9.9' }] },
  });
  await proxy.control.acknowledgedAll();
  t.is((await ask(proxy, at('absent.test'), { authorization: resolving.authorization })).status, 200);
  t.is((await ask(proxy, at('site.test'), { authorization: resolving.authorization })).code, 'core.non_public_address');
});

test.serial('plain HTTP inside a CONNECT is judged request by request, and the CONNECT costs nothing', async (t) => {
  const inside = proxy.control.createRun({ allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }], policy: loopback });
  await proxy.control.acknowledgedAll();
  const client = new RawClient(proxy);
  client.send(head(`site.test:${origin.port}`, { method: 'CONNECT', authorization: inside.authorization }));
  await client.until('the tunnel', (text) => text.startsWith('HTTP/1.1 200'));
  t.is((await client.answer()).status, 200);
  client.send(`GET /one HTTP/1.1\r\nHost: site.test:${origin.port}\r\n\r\n`);
  t.is((await client.answer()).body, 'hello\n');
  client.send(`DELETE /two HTTP/1.1\r\nHost: site.test:${origin.port}\r\n\r\n`);
  t.is((await client.answer()).code, 'policy_denied');
  client.send(`GET /three HTTP/1.1\r\nHost: other.test:${origin.port}\r\n\r\n`);
  t.is((await client.answer()).code, 'core.host_mismatch');
  client.send(`GET /four HTTP/1.1\r\nHost: site.test:${origin.port}\r\n\r\n`);
  t.is((await client.answer()).body, 'hello\n');
  proxy.control.update(inside, { state: 'Cancelled' });
  await proxy.control.acknowledgedAll();
  client.send(`GET /five HTTP/1.1\r\nHost: site.test:${origin.port}\r\n\r\n`);
  t.is((await client.answer()).code, 'run_ended');
  client.socket.destroy();
  await proxy.control.ingested('all five', () => proxy.control.of(inside).filter(({ type }) => type === 'egress.denied').length === 3);
  t.is(proxy.control.used(inside, 'requests'), 2);
});

test.serial('TLS inside a CONNECT that is to be judged is closed, and recorded as needs_interception', async (t) => {
  const before = proxy.control.of(run).length;
  const client = new RawClient(proxy);
  client.send(head(`site.test:${origin.port}`, { method: 'CONNECT', authorization: run.authorization }));
  await client.until('the tunnel', (text) => text.includes('\r\n\r\n'));
  client.send('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03');
  await client.ended();
  await proxy.control.ingested('the refusal', () => proxy.control.of(run).length > before);
  const event = proxy.control.of(run).at(-1);
  t.is(event?.facts['code'], 'needs_interception');
  t.regex(JSON.stringify(event?.payload['next_steps']), new RegExp(`--allow site.test:${origin.port}:TUNNEL`));
});

test.serial('an opaque tunnel passes bytes, counts them, and closes when its run is cancelled', async (t) => {
  const echo = await startLocalServer(t, (socket) => { socket.pipe(socket); });
  const tunnelling = proxy.control.createRun({ allow: [{ host: 'site.test', ports: [echo.port], methods: ['TUNNEL'] }], policy: loopback });
  await proxy.control.acknowledgedAll();
  const client = new RawClient(proxy);
  client.send(head(`site.test:${echo.port}`, { method: 'CONNECT', authorization: tunnelling.authorization }));
  await client.until('the tunnel', (text) => text.includes('\r\n\r\n'));
  client.send('ping!');
  await client.until('the echo', (text) => text.endsWith('ping!'));
  proxy.control.update(tunnelling, { state: 'Cancelled' });
  await client.ended();
  await proxy.control.ingested('the cut', () => proxy.control.of(tunnelling, 'egress.cut').length === 1);
  const [cut] = proxy.control.of(tunnelling, 'egress.cut');
  t.like(cut?.facts, { code: 'run_ended', spent: { bytes_out: 5, bytes_in: 5 } });
  for (const meter of ['requests', 'bytes_out', 'bytes_in'] as const) await until(`${meter} to be returned`, () => proxy.control.reserved(tunnelling, meter) === 0);
});

test.serial('a web socket is one exchange with status 101, and closes within 100 ms when its run is cancelled', async (t) => {
  const server = createHttpServer().on('upgrade', echo);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => { server.close(); server.closeAllConnections(); });
  const { port } = server.address() as { readonly port: number };
  const speaking = proxy.control.createRun({ allow: [{ host: 'site.test', ports: [port], methods: ['GET'], path_prefix: '/chat' }], policy: loopback });
  await proxy.control.acknowledgedAll();
  const fields = [...handshakeFields];
  t.is((await ask(proxy, `http://site.test:${port}/other`, { authorization: speaking.authorization, fields })).code, 'policy_denied');
  const client = new RawClient(proxy);
  client.send(head(`http://site.test:${port}/chat`, { authorization: speaking.authorization, fields }));
  await client.until('the switch', (text) => text.startsWith('HTTP/1.1 101 ') && text.endsWith('\r\n\r\n'));
  client.send(frame('hello', true).toString('latin1'));
  await client.until('the echo', (text) => text.endsWith('\x81\x05hello'));
  const began = performance.now();
  proxy.control.update(speaking, { state: 'Cancelled' });
  await client.ended();
  // The bound is 100 ms; a machine that stalls is not a failure of ours.
  t.true(performance.now() - began < 1000, `${performance.now() - began} ms`);
  await proxy.control.ingested('the cut', () => proxy.control.of(speaking, 'egress.cut').length === 1);
  t.deepEqual(proxy.control.of(speaking).map(({ type }) => type).filter((type) => type.startsWith('egress.')), ['egress.denied', 'egress.decided', 'egress.cut']);
  const [cut] = proxy.control.of(speaking, 'egress.cut');
  t.like(cut?.facts, { code: 'run_ended' });
  t.is(cut?.payload['status'], 101);
});

test.serial('what a jailed agent sends and nobody can read is recorded as its own; from outside it is nobody\'s', async (t) => {
  const jailed = proxy.control.createRun({ channel: 'jail' });
  await proxy.control.acknowledgedAll();
  const unreadable = 'GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n';
  const before = proxy.control.events.length;
  for (const place of [proxy, runSocket(proxy, jailed.snapshot.short_id)]) t.regex(await new RawClient(place).send(unreadable).ended(), /"code": "bad_request"/);
  await proxy.control.ingested('the refusal', () => proxy.control.of(jailed, 'egress.denied').length === 1);
  t.is(proxy.control.of(jailed)[0]?.facts['code'], 'bad_request');
  t.is(proxy.control.events.slice(before).filter(({ type }) => type === 'egress.denied').length, 1);
});

test.serial('a jailed run is reached by its own listener alone; credentials that it sends change nothing', async (t) => {
  const jailed = proxy.control.createRun({ channel: 'jail', allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }], policy: loopback });
  await proxy.control.acknowledgedAll();
  const place = runSocket(proxy, jailed.snapshot.short_id);
  t.is((await ask(place, at('site.test', '/mine'), { authorization: run.authorization })).status, 200);
  t.is(origin.requests.at(-1)?.headers['proxy-authorization'], undefined);
  await proxy.control.ingested('the request', () => proxy.control.of(jailed, 'egress.decided').length === 1);
  t.is((await ask(proxy, at('site.test'), { authorization: jailed.authorization })).code, 'proxy_authentication_required');
  proxy.control.update(jailed, { state: 'Done' });
  await until('the listener to be gone', async () => {
    const client = new RawClient(place);
    await client.ended();
    return client.text === '';
  });
});

test.serial('an exception that nobody foresaw is an internal refusal, recorded, and the worker lives', async (t) => {
  const failing = await startProxyWorker(t, { ask: () => { throw new TypeError('unforeseen'); } });
  const [one] = [failing.control.createRun({ allow: [{ host: 'site.test', ports: [80], methods: ['GET'] }] })];
  await failing.control.acknowledgedAll();
  const answer = await ask(failing, 'http://site.test/', { authorization: one.authorization });
  t.true(answer.status >= 500);
  t.false(answer.body.includes('unforeseen'));
  await failing.control.ingested('the refusal', () => failing.control.of(one, 'egress.denied').length === 1);
  t.is((await ask(failing, 'http://evil.test/', { authorization: one.authorization })).code, 'policy_denied');
  await turn();
});

test.serial('an agent that floods the proxy with refused requests cannot fill the record of all runs', async (t) => {
  const flooding = proxy.control.createRun({ allow: [] });
  await proxy.control.acknowledgedAll();
  const client = new RawClient(proxy);
  const sent = 2000;
  client.send(head('http://evil.test/', { authorization: flooding.authorization }).repeat(sent));
  const answers = await client.until('all answers', (text) => text.split('HTTP/1.1 ').length > sent && text.endsWith('}\n'));
  const refused = answers.split('"code": "policy_denied"').length - 1;
  const limited = answers.split('"code": "rate_limited"').length - 1;
  t.is(refused + limited, sent);
  t.true(refused >= 1000, 'an ordinary number of refusals is told and recorded one by one');
  t.true(limited > 0);
  t.is((await ask(proxy, at('evil.test'), { authorization: run.authorization })).code, 'policy_denied', 'another run is not held up');
  const omitted = (): number => proxy.control.events.filter(({ type }) => type === 'journal.omitted').reduce((sum, { facts }) => sum + Number(facts['records']), 0);
  await proxy.control.ingested('the refusals', () => proxy.control.of(flooding, 'egress.denied').length === refused && omitted() === limited);
  client.socket.destroy();
});
