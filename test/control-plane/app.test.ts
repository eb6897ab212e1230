import test from 'ava';
import { connect } from 'node:net';
import type { CreatedRun, Page, RunAction } from '../../contracts/run-api.ts';
import { event } from '../helpers/wait.ts';
import { proxyToken, startTestControlPlane } from './harness.ts';
import { decided, newEgress, TestJournal } from './segments.ts';

test.serial('what is not there is 404, a method that is not taken 405 with those that are', async (t) => {
  const { call, faults } = await startTestControlPlane(t);
  for (const path of ['/', '/chat', '/chat/run/', '/chat/run/x/y', '/admin', '/admin/audit', '/data-plane', '/openapi.json', '/Chat/run', '/chat/run/../run/x', '/chat/run/%00', '/chat/run/%zz', `/chat/run/${'x'.repeat(101)}`, '/data-plane/bundles/%00']) {
    t.like(await call('GET', path), { status: 404, headers: { 'content-type': 'application/problem+json' }, body: { code: 'not_found' } }, path);
  }
  const table = [['DELETE', '/chat/run', 'GET, HEAD, POST'], ['PUT', '/chat/run/x', 'GET, HEAD'], ['GET', '/chat/run/x/cancel', 'POST'], ['POST', '/admin/audit/head', 'GET, HEAD'], ['OPTIONS', '/healthz', 'GET, HEAD']] as const;
  for (const [method, path, allow] of table) t.like(await call(method, path), { status: 405, headers: { allow }, body: { code: 'method_not_allowed' } }, path);
  t.deepEqual(faults, []);
});

test.serial('a problem names the request it is about, by an id of ours', async (t) => {
  const { call } = await startTestControlPlane(t);
  const answer = await call('GET', '/chat/run/run_none', { headers: { 'request-id': 'forged' } });
  t.like(answer, { status: 404, body: { type: 'https://sallyport.example/problems/not_found', title: 'Not found' } });
  t.truthy(answer.body.instance);
  t.is(answer.headers['request-id'], answer.body.instance);
  t.not(answer.body.instance, 'forged');
});

test.serial('a body with mistakes is told all of them, each with its path', async (t) => {
  const { call } = await startTestControlPlane(t);
  const policy = { allow: [{ id: 'a', host: 'Site.Example', ports: [0], methods: ['get'] }], allow_addresses: ['10.0.0.0'], surprise: true };
  const answer = await call('POST', '/chat/run', { body: { policy, budget: { requests: -1, sugar: 2 }, colour: 'red' } });
  t.is(answer.status, 422);
  t.deepEqual(answer.body.errors?.map(({ path }) => path).sort(), [
    'budget.requests', 'budget.sugar', 'colour', 'goal', 'policy.allow[0].host', 'policy.allow[0].methods[0]', 'policy.allow[0].ports[0]', 'policy.allow_addresses[0]', 'policy.surprise',
  ]);
  t.like(await call('POST', '/chat/run', { body: Buffer.from('{"goal":') }), { status: 400, body: { code: 'malformed_json' } });
  t.like(await call('POST', '/chat/run', { body: { goal: 'x'.repeat(300_000) } }), { status: 413, body: { code: 'body_too_large' } });
});

test.serial('events are found by run and type, page by page; an export is whole or nothing', async (t) => {
  const { call } = await startTestControlPlane(t);
  const [one, two] = [(await call<CreatedRun>('POST', '/chat/run', { body: { goal: 'one' } })).body, (await call<CreatedRun>('POST', '/chat/run', { body: { goal: 'two' } })).body];
  await call('POST', '/data-plane/events', { token: proxyToken, body: new TestJournal().segment([decided(one.run_id, newEgress()), decided(two.run_id, newEgress()), decided(one.run_id, newEgress())]) });
  const types = async (query: string): Promise<string[]> => (await call<Page<RunAction>>('GET', `/admin/audit/events?${query}`)).body.items.map(({ event }) => event.type);
  t.deepEqual(await types(`run_id=${one.run_id}`), ['egress.decided', 'egress.decided', 'run.created']);
  t.deepEqual(await types('type=run.created'), ['run.created', 'run.created']);
  t.deepEqual(await types(`run_id=${two.run_id}&type=egress.decided`), ['egress.decided']);
  const first = (await call<Page<RunAction>>('GET', '/admin/audit/events?limit=4')).body;
  const second = (await call<Page<RunAction>>('GET', `/admin/audit/events?limit=200&cursor=${first.next_cursor}`)).body;
  const ids = [...first.items, ...second.items].map(({ event }) => event.event_id);
  t.is(first.items.length, 4);
  t.is(second.next_cursor, null);
  t.deepEqual(ids, ids.toSorted().toReversed());
  t.is(new Set(ids).size, ids.length);
  for (const query of ['type=nothing', 'run=x', 'limit=-1', 'run_id=%00', 'cursor=a%20b']) t.is((await call('GET', `/admin/audit/events?${query}`)).status, 422, query);
  t.like(await call('GET', '/admin/audit/export?from=3'), { status: 501, body: { code: 'not_supported' } });
  t.is((await call('GET', '/admin/audit/export?from=x')).status, 422);
});

test.serial('it is alive and ready, whoever asks', async (t) => {
  const { call } = await startTestControlPlane(t);
  t.like(await call('GET', '/healthz', { token: 'sp_op_nobodynobodynobody' }), { status: 200, body: { status: 'ok' } });
  t.like(await call('GET', '/readyz'), { status: 200, body: { status: 'ready' } });
});

test.serial('a client that dies in the middle of its request is no fault of ours', async (t) => {
  const { call, controlPlane, faults } = await startTestControlPlane(t);
  const dying = connect(controlPlane.addresses.api_socket);
  dying.on('error', () => { /* Either end may be first. */ });
  dying.end(`POST /data-plane/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${proxyToken}\r\nContent-Length: 100\r\n\r\nhalf`);
  await event('the end of its connection', dying.resume(), 'close');
  t.is((await call('GET', '/healthz')).status, 200);
  t.deepEqual(faults, []);
});
