import test from 'ava';
import { systemClock } from '../../../contracts/clock.ts';
import { ProxyMetrics } from '../../../control-plane/http/metrics-proxies.ts';
import { call, openProxyStream, proxyToken, startTestControlPlane } from '../harness.ts';
import { parsePrometheus, type Sample } from '../../helpers/prometheus.ts';

const push = (proxy_id: string, value: number): object => ({
  proxy_id,
  families: [
    { name: 'sallyport_proxy_open', help: 'Exchanges "under way".\n', type: 'gauge', samples: [{ labels: { kind: 'http' }, value }] },
    { name: 'sallyport_proxy_added_seconds', help: 'h', type: 'histogram', samples: [{ suffix: '_bucket', labels: { le: '+Inf' }, value: 2 }, { suffix: '_sum', labels: {}, value: 0.5 }, { suffix: '_count', labels: {}, value: 2 }] },
    { name: 'sallyport_proxy_refusals_total', help: 'h', type: 'counter', samples: [{ labels: { code: 'a"b\\c\nd' }, value: 1 }] },
  ],
});
const find = (samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number | undefined => samples
  .find((sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value))?.value;

test.serial('one answer has the control plane\'s own metrics and those of each proxy, in Prometheus\' text format', async (t) => {
  const plane = await startTestControlPlane(t);
  await plane.call('POST', '/chat/run', { body: { goal: 'x' } });
  await openProxyStream(t, plane, 'p1');
  for (const [proxy_id, value] of [['p1', 5], ['p2', 7], ['p1', 6]] as const) t.is((await plane.call('POST', '/data-plane/metrics', { token: proxyToken, body: push(proxy_id, value) })).status, 200);
  const { status, headers, text } = await plane.call('GET', '/metrics');
  t.is(status, 200);
  t.regex(headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
  const samples = parsePrometheus(text);
  t.is(find(samples, 'sallyport_proxy_open', { proxy: 'p1', kind: 'http' }), 6);
  t.is(find(samples, 'sallyport_proxy_open', { proxy: 'p2' }), 7);
  t.is(find(samples, 'sallyport_proxy_added_seconds_count', { proxy: 'p1' }), 2);
  t.is(find(samples, 'sallyport_proxy_refusals_total', { code: 'a\\"b\\\\c\\nd' }), 1);
  t.is(find(samples, 'sallyport_runs', { state: 'Active' }), 1);
  t.is(find(samples, 'sallyport_proxies_connected'), 1);
  t.is(find(samples, 'sallyport_database_up'), 1);
  t.true((find(samples, 'sallyport_chain_entries') ?? -1) >= 0);
  t.is(find(samples, 'sallyport_segments_ingested_total'), 0);
  t.is(find(samples, 'sallyport_http_requests_total', { method: 'POST', route: '/chat/run', status: '201' }), 1);
  t.is(find(samples, 'sallyport_http_requests_total', { route: '/data-plane/metrics' }), 3);
  t.true((find(samples, 'sallyport_control_plane_process_resident_memory_bytes') ?? 0) > 0);
  t.false(/run_[0-9a-f]/.test(text), 'a run is named');
});

test.serial('what is in a path makes no series, whatever is asked for', async (t) => {
  const { call: local } = await startTestControlPlane(t);
  for (let index = 0; index < 5; index++) {
    await local('GET', `/chat/run/run_${index}`);
    await local('GET', `/nothing/${index}`);
    await local(`X${index}`, '/chat/run');
  }
  const samples = parsePrometheus((await local('GET', '/metrics')).text).filter(({ name }) => name === 'sallyport_http_requests_total');
  t.deepEqual(samples.map(({ labels, value }) => [labels['method'], labels['route'], labels['status'], value]).sort(), [
    ['GET', '/chat/run/:run_id', '404', 5], ['GET', 'none', '404', 5], ...samples.filter(({ labels }) => labels['method'] === 'other').map(({ labels, value }) => [labels['method'], labels['route'], labels['status'], value]),
  ].sort());
});

test.serial('operators read it and who is on this machine; what somebody passed on needs a key', async (t) => {
  const plane = await startTestControlPlane(t, { configuration: { api_listen: { host: '127.0.0.1', port: 0 } } });
  const [, host = '', port] = /^(.*):([0-9]+)$/.exec(plane.controlPlane.addresses.api!) ?? [];
  const key = /sp_op_\S+/.exec(plane.controlPlane.notices[0]!)![0];
  const target = { host, port: Number(port) };
  const { body: { run_id, agent_token } } = await plane.call<{ run_id: string; agent_token: string }>('POST', '/chat/run', { body: { goal: 'x' } });
  t.is((await call(target, 'GET', '/metrics')).status, 200);
  t.is((await call(target, 'GET', '/metrics', { token: key, headers: { 'x-forwarded-for': '203.0.113.1' } })).status, 200);
  for (const name of ['x-forwarded-for', 'forwarded', 'via']) t.is((await call(target, 'GET', '/metrics', { headers: { [name]: 'x' } })).status, 401, name);
  t.is((await call(target, 'GET', '/metrics', { headers: { host: `rebound.test:${port}` } })).status, 401, 'a page whose name was made to lead here');
  t.is((await call(target, 'GET', '/metrics', { headers: { host: `localhost:${port}` } })).status, 200);
  t.is((await call(target, 'GET', '/metrics', { token: agent_token })).status, 403);
  t.is((await call(target, 'GET', '/metrics', { token: proxyToken })).status, 403);
  t.is((await plane.call('GET', '/metrics', { token: proxyToken, headers: { 'sallyport-run': `${run_id};epoch=1` } })).status, 403);
  t.is((await call(target, 'GET', '/metrics', { token: 'sp_op_wrongwrongwrongwrong' })).status, 401);
  t.is((await plane.call('POST', '/data-plane/metrics', { body: push('p', 1) })).status, 403, 'only proxies push');
  t.is((await plane.call('POST', '/data-plane/metrics', { token: proxyToken, body: { proxy_id: 'p', families: [{ name: 'sallyport_runs' }] } })).status, 422);
  t.is((await plane.call('POST', '/data-plane/metrics', { token: proxyToken, body: Buffer.alloc(300 * 1024, ' ') })).status, 413);
});

test('a proxy that was silent for a minute is not shown any more, and the number of proxies is bounded', (t) => {
  let now = 0;
  const metrics = new ProxyMetrics({ ...systemClock, monotonic: () => now });
  const proxies = (): readonly (string | undefined)[] => metrics.families()[0]?.samples.map(({ labels }) => labels['proxy']) ?? [];
  metrics.take(push('a', 1) as never);
  now = 30_000;
  metrics.take(push('b', 1) as never);
  t.deepEqual(proxies(), ['a', 'b']);
  now = 60_000;
  t.deepEqual(proxies(), ['b']);
  for (let index = 0; index < 500; index++) metrics.take(push(`p${index}`, 1) as never);
  t.is(proxies().length, 200);
  metrics.take({ proxy_id: 'odd', families: [{ name: 'sallyport_proxy_open', help: 'h', type: 'counter', samples: [{ labels: {}, value: 1 }] }] });
  t.false(proxies().includes('odd'), 'one that differs about a type is left out');
});
