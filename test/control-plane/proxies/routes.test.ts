import test from 'ava';
import { gzipSync } from 'node:zlib';
import type { CreatedRun } from '../../../contracts/run-api.ts';
import { openProxyStream, proxyToken, revision, startTestControlPlane } from '../harness.ts';
import { denied, newEgress, TestJournal } from '../segments.ts';

test.serial('the data plane is for proxies alone, and speaks one version', async (t) => {
  const { call } = await startTestControlPlane(t);
  t.like(await call('GET', '/data-plane/stream?proxy_id=x'), { status: 403, body: { code: 'forbidden' } }, 'not even for the local operator');
  t.like(await call('GET', '/data-plane/stream', { token: proxyToken }), { status: 422, body: { errors: [{ path: 'proxy_id' }] } });
  t.like(await call('GET', '/data-plane/stream?proxy_id=x&protocol=2', { token: proxyToken }), { status: 501, body: { code: 'not_supported' } });
  t.like(await call('GET', '/chat/run', { token: proxyToken }), { status: 403 }, 'nor is the rest for proxies');
  for (const path of ['/data-plane/allowances', '/data-plane/returns', '/data-plane/events', '/data-plane/acknowledgements']) t.is((await call('POST', path, { body: {} })).status, 403, path);
});

test.serial('a proxy loads the bundle by its revision', async (t) => {
  const { call } = await startTestControlPlane(t);
  const bundle = await call<string>('GET', `/data-plane/bundles/${revision}`, { token: proxyToken });
  t.is(bundle.text, '{"bundle":true}');
  t.like(await call('GET', '/data-plane/bundles/none', { token: proxyToken }), { status: 404, body: { code: 'not_found' } });
});

test.serial('a segment is taken plain or compressed; a gap says what is expected, a fork is a conflict', async (t) => {
  const { call } = await startTestControlPlane(t);
  const journal = new TestJournal();
  const [first, second, third] = [1, 2, 3].map(() => journal.segment([denied('run_x', newEgress())]));
  const post = (body: Buffer, headers: Record<string, string> = {}) => call<Record<string, unknown>>('POST', '/data-plane/events', { token: proxyToken, body, headers });
  t.like(await post(first!), { status: 200, body: { journal_id: journal.journal_id, sequence: 0, status: 'ingested' } });
  const gap = await post(third!);
  t.like(gap, { status: 409, body: { code: 'journal_gap', expected: 1 } });
  t.is(gap.headers['content-type'], 'application/problem+json');
  t.like(await post(gzipSync(second!), { 'content-encoding': 'gzip' }), { status: 200, body: { sequence: 1, status: 'ingested' } });
  t.like(await post(second!), { status: 200, body: { status: 'known' } });
  const twin = new TestJournal();
  Object.defineProperty(twin, 'journal_id', { value: journal.journal_id });
  t.like(await post(twin.segment([denied('run_x', newEgress())])), { status: 409, body: { code: 'journal_forked' } });
  t.like(await post(Buffer.from('nonsense'), { 'content-encoding': 'gzip' }), { status: 400 });
  t.like(await post(Buffer.from('nonsense'), { 'content-encoding': 'br' }), { status: 501 });
  t.like(await post(gzipSync(Buffer.alloc(65 * 1024 * 1024)), { 'content-encoding': 'gzip' }), { status: 413 }, 'a bomb is stopped at the limit');
});

test.serial('draws, returns and acknowledgements are checked to the last field', async (t) => {
  const plane = await startTestControlPlane(t);
  const { call } = plane;
  const { run_id } = (await call<CreatedRun>('POST', '/chat/run', { body: { goal: 'test' } })).body;
  const draw = { draw_id: 'drw_1', journal_id: 'jnl_1', run_id, epoch: 1, wanted: { requests: 1 } };
  const table: readonly [object, string][] = [
    [{ ...draw, wanted: { requests: -1 } }, 'wanted.requests'], [{ ...draw, wanted: { requests: 0.5 } }, 'wanted.requests'], [{ ...draw, wanted: { steps: 1 } }, 'wanted.steps'],
    [{ ...draw, epoch: '1' }, 'epoch'], [{ ...draw, colour: 'red' }, 'colour'],
  ];
  for (const [body, path] of table) t.like(await call('POST', '/data-plane/allowances', { token: proxyToken, body }), { status: 422, body: { errors: [{ path }] } }, path);
  t.like((await call('POST', '/data-plane/allowances', { token: proxyToken, body: draw })).body, { granted: { requests: 64 }, exhausted: [], balances: { requests: { reserved: 64, remaining: 936 } } });
  t.like((await call('POST', '/data-plane/allowances', { token: proxyToken, body: { ...draw, draw_id: 'drw_2', wanted: {} } })).body, { granted: {}, exhausted: [] });
  const answer = { journal_id: 'jnl_1', run_id, returned: { requests: 1 }, recalls: { requests: 1 } };
  const returns: readonly [object, string][] = [[{ ...answer, returned: { requests: -1 } }, 'returned.requests'], [{ ...answer, recalls: { steps: 1 } }, 'recalls.steps'], [{ ...answer, colour: 'red' }, 'colour']];
  for (const [body, path] of returns) t.like(await call('POST', '/data-plane/returns', { token: proxyToken, body }), { status: 422, body: { errors: [{ path }] } }, path);
  t.like(await call('POST', '/data-plane/returns', { token: proxyToken, body: { ...answer, run_id: 'run_none' } }), { status: 200, body: {} }, 'one that nobody asked for changes nothing');
  const acknowledgement = { proxy_id: 'prx_new', version: 1, revision };
  t.like(await call('POST', '/data-plane/acknowledgements', { token: proxyToken, body: acknowledgement }), { status: 404 });
  await openProxyStream(t, plane, 'prx_new', false);
  t.like(await call('POST', '/data-plane/acknowledgements', { token: proxyToken, body: acknowledgement }), { status: 200, body: {} });
});
