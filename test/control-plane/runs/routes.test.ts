import { join } from 'node:path';
import type { CreatedRun, HeartbeatAnswer, Page, RunAction, RunProgress, RunView, SettledAnswer } from '../../../contracts/run-api.ts';
import { verifyExport } from '../../../contracts/verify.ts';
import { within } from '../../helpers/wait.ts';
import { backends } from '../backends.ts';
import { openProxyStream, openStream, proxyToken, startTestControlPlane, type TestControlPlane } from '../harness.ts';
import { decided, denied, newEgress, returned, TestJournal } from '../segments.ts';
import type { Lifetime } from '../../helpers/lifetime.ts';

async function create(plane: TestControlPlane, body: object = {}): Promise<CreatedRun> {
  const { status, body: run, text } = await plane.call<CreatedRun>('POST', '/chat/run', { body: { goal: 'test', ...body } });
  if (status !== 201) throw new Error(text);
  return run;
}

const stateOf = async (plane: TestControlPlane, run_id: string): Promise<string> => (await plane.call<RunView>('GET', `/chat/run/${run_id}`)).body.state;

async function openRunStream(lifetime: Lifetime, plane: TestControlPlane, run_id: string) {
  return await openStream<RunProgress & { readonly event: string }>(lifetime, join(plane.folder, 'api.sock'), `/chat/run/${run_id}/stream`, '\n\n', (text) => {
    const [event, data] = text.split('\n');
    return event?.startsWith('event: ') === true ? { event: event.slice(7), ...JSON.parse(data!.slice(6)) as RunProgress } : undefined;
  });
}

for (const { name, test, locate } of backends) {
  const start = async (lifetime: Lifetime): Promise<TestControlPlane> => {
    const { url } = await locate(lifetime);
    return await startTestControlPlane(lifetime, url === undefined ? {} : { databaseUrl: url });
  };

  test(`an agent that opens stream after stream is refused aloud, and others are not (${name})`, async (t) => {
    const plane = await start(t);
    const { run_id, agent_token } = await create(plane);
    const path = `/chat/run/${run_id}/stream`;
    for (let opened = 0; opened < 16; opened++) await openStream(t, join(plane.folder, 'api.sock'), path, '\n\n', () => undefined, agent_token);
    t.like(await within('the refusal', plane.call('GET', path, { token: agent_token })), { status: 429, body: { code: 'rate_limited' } });
    await (await openRunStream(t, plane, run_id)).wait('the operator\'s', ({ event }) => event === 'state');
    await openProxyStream(t, plane, 'prx_1');
  });

  test(`a run is created, ended, settled, and all of it is in an export that verifies (${name})`, async (t) => {
    const plane = await start(t);
    const { call, faults } = plane;
    const created = await call<CreatedRun>('POST', '/chat/run', { body: { goal: 'say hello', channel: 'jail', labels: { team: 'red' } } });
    t.is(created.status, 201, created.text);
    const { run_id, session_id, agent_token } = created.body;
    t.like(created.body, { state: 'Active', channel: 'jail', assurance: 'jailed', epoch: 1, goal: 'say hello', labels: { team: 'red' }, proxies: { connected: 0, acknowledged: 0 } });
    t.regex(agent_token, /^sp_ag_1_/);
    t.is(created.headers.location, `/chat/run/${run_id}`);
    const ended = await call<RunView>('POST', `/chat/run/${run_id}/transition`, { body: { to: 'Done', exit_code: 0 } });
    t.like(ended.body, { state: 'Done', exit_code: 0, session_id });
    t.like((await call<SettledAnswer>('GET', `/chat/run/${run_id}/settled?wait_ms=5000`)).body, { settled: true });
    const actions = await call<Page<RunAction>>('GET', `/chat/run/${run_id}/actions`);
    t.deepEqual(actions.body.items.map(({ event }) => event.type), ['run.transitioned', 'run.created']);
    t.true(actions.body.items.every(({ entry_index }) => typeof entry_index === 'number'));
    const report = verifyExport((await call<string>('GET', '/admin/audit/export')).text.split('\n').slice(0, -1));
    t.deepEqual(report.problems, []);
    t.true(report.sealed === report.entries && report.entries >= 4);
    t.false(JSON.stringify(await call('GET', '/admin/audit/export')).includes(agent_token), 'a token is nowhere in the chain');
    t.deepEqual(faults, []);
  });

  test(`a session has one active run: others are refused or wait, and the oldest that waits follows (${name})`, async (t) => {
    const plane = await start(t);
    const first = await create(plane);
    const { session_id } = first;
    t.like(await plane.call('POST', '/chat/run', { body: { goal: 'busy', session_id } }), { status: 409, body: { code: 'session_busy' } });
    const [second, third] = [await create(plane, { session_id, queue: true, channel: 'jail' }), await create(plane, { session_id, queue: true })];
    t.is(second.state, 'Queued');
    t.is(second.started_at, null);
    await plane.call('POST', `/chat/run/${first.run_id}/cancel`);
    t.like((await plane.call<RunView>('GET', `/chat/run/${second.run_id}`)).body, { state: 'Active', reason: null });
    t.is(await stateOf(plane, third.run_id), 'Queued');
    await plane.call('POST', `/chat/run/${second.run_id}/transition`, { body: { to: 'Failed', reason: 'it did not work', exit_code: 3 } });
    t.like((await plane.call<RunView>('GET', `/chat/run/${second.run_id}`)).body, { state: 'Failed', reason: 'it did not work', exit_code: 3 });
    t.is(await stateOf(plane, third.run_id), 'Active');
    const other = await plane.call('POST', '/chat/run', { body: { goal: 'lost', session_id: 'ses_none' } });
    t.like(other, { status: 404, body: { code: 'not_found' } });
  });

  test(`runs that come and go at the same moment leave exactly one active (${name})`, async (t) => {
    const plane = await start(t);
    const { session_id, run_id } = await create(plane);
    const [, ...created] = await Promise.all([
      plane.call('POST', `/chat/run/${run_id}/cancel`),
      ...Array.from({ length: 8 }, () => create(plane, { session_id, queue: true })),
    ]);
    for (let left = created.length; left > 0; left--) {
      const page = (await plane.call<Page<RunView>>('GET', `/chat/run?session_id=${session_id}&limit=200`)).body.items;
      t.is(page.filter(({ state }) => state === 'Active').length, 1);
      t.is(page.filter(({ state }) => state === 'Queued').length, left - 1);
      await plane.call('POST', `/chat/run/${page.find(({ state }) => state === 'Active')!.run_id}/cancel`);
    }
    t.deepEqual(plane.faults, []);
  });

  test(`what is not legal is refused with what would be, and changes nothing (${name})`, async (t) => {
    const plane = await start(t);
    const { run_id, agent_token } = await create(plane);
    const table: readonly [string, object, number, object][] = [
      ['operator', { to: 'Done' }, 409, { code: 'illegal_transition', legal: ['Cancelled'] }],
      ['operator', { to: 'Queued' }, 409, { legal: ['Cancelled'] }],
      ['operator', { to: 'PausedApproval' }, 409, { legal: ['Cancelled'] }],
      ['agent', { to: 'Cancelled' }, 409, { legal: ['Done', 'Failed'] }],
      ['agent', { to: 'Active' }, 409, { legal: ['Done', 'Failed'] }],
      ['operator', { to: 'Elsewhere' }, 422, { code: 'invalid_request' }],
    ];
    for (const [who, body, status, problem] of table) {
      t.like(await plane.call('POST', `/chat/run/${run_id}/transition`, { body, ...who === 'agent' && { token: agent_token } }), { status, body: problem }, JSON.stringify(body));
    }
    t.is(await stateOf(plane, run_id), 'Active');
    t.is((await plane.call('POST', `/chat/run/${run_id}/transition`, { body: { to: 'Done' }, token: agent_token })).status, 200);
    t.like(await plane.call('POST', `/chat/run/${run_id}/cancel`), { status: 409, body: { code: 'illegal_transition', legal: [] } });
    t.is((await plane.call<Page<RunAction>>('GET', `/chat/run/${run_id}/actions`)).body.items.length, 2);
  });

  test(`an agent acts on its own run only, and no longer than that lives (${name})`, async (t) => {
    const plane = await start(t);
    const [own, other] = [await create(plane), await create(plane)];
    const token = own.agent_token;
    for (const path of ['', '/actions', '/stream']) {
      t.like(await plane.call('GET', `/chat/run/${other.run_id}${path}`, { token }), { status: 403, body: { code: 'forbidden' } }, path);
      t.like(await plane.call('GET', `/chat/run/run_none${path}`, { token }), { status: 403 }, 'what there is elsewhere is not told');
    }
    for (const path of ['/cancel', '/transition', '/heartbeat']) {
      t.like(await plane.call('POST', `/chat/run/${other.run_id}${path}`, { token, body: {} }), { status: 403 }, path);
    }
    t.is((await plane.call<RunView>('GET', `/chat/run/${own.run_id}`, { token })).body.run_id, own.run_id);
    t.deepEqual((await plane.call<Page<RunView>>('GET', '/chat/run', { token })).body.items.map(({ run_id }) => run_id), [own.run_id]);
    t.like(await plane.call('POST', '/chat/run', { token, body: { goal: 'child' } }), { status: 501, body: { code: 'not_supported' } });
    for (const [method, path] of [['GET', '/admin/audit/export'], ['GET', '/admin/proxies'], ['GET', '/data-plane/stream?proxy_id=x'], ['POST', '/data-plane/allowances']] as const) {
      t.is((await plane.call(method, path, { token })).status, 403, path);
    }
    await plane.call('POST', `/chat/run/${own.run_id}/cancel`);
    t.like(await plane.call('GET', `/chat/run/${own.run_id}`, { token }), { status: 401, body: { code: 'unauthenticated' } });
  });

  test(`a repeated request with an Idempotency-Key gets its first answer, token and all; another one is refused (${name})`, async (t) => {
    const plane = await start(t);
    const headers = { 'idempotency-key': 'order-66' };
    const answers = await Promise.all(Array.from({ length: 4 }, () => plane.call<CreatedRun>('POST', '/chat/run', { body: { goal: 'once' }, headers })));
    answers.push(await plane.call<CreatedRun>('POST', '/chat/run', { body: { goal: 'once' }, headers }));
    t.deepEqual(answers.map(({ status }) => status), [201, 201, 201, 201, 201]);
    for (const { body } of answers) t.like(body, { run_id: answers[0]!.body.run_id, agent_token: answers[0]!.body.agent_token, correlation_id: answers[0]!.body.correlation_id });
    t.is((await plane.call<Page<RunView>>('GET', '/chat/run')).body.items.length, 1);
    const other = await plane.call('POST', '/chat/run', { body: { goal: 'twice' }, headers });
    t.like(other, { status: 422, body: { errors: [{ path: 'Idempotency-Key' }] } });
    t.is((await plane.call('POST', '/chat/run', { body: { goal: 'x' }, headers: { 'idempotency-key': 'a b' } })).status, 422);
  });

  test(`lists go through all runs page by page, newest first, and by state (${name})`, async (t) => {
    const plane = await start(t);
    const ids: string[] = [];
    for (let count = 0; count < 5; count++) ids.unshift((await create(plane)).run_id);
    await plane.call('POST', `/chat/run/${ids[2]}/cancel`);
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: Page<RunView> = (await plane.call<Page<RunView>>('GET', `/chat/run?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)).body;
      seen.push(...page.items.map(({ run_id }) => run_id));
      cursor = page.next_cursor;
    }
    t.deepEqual(seen, ids);
    t.deepEqual((await plane.call<Page<RunView>>('GET', '/chat/run?state=Cancelled')).body.items.map(({ run_id }) => run_id), [ids[2]!]);
    for (const query of ['limit=0', 'limit=201', 'limit=x', 'state=Nowhere', 'colour=red', 'limit=1&limit=2']) t.is((await plane.call('GET', `/chat/run?${query}`)).status, 422, query);
  });

  test(`a run's stream tells its state at once, progress as it comes, and ends with the run (${name})`, async (t) => {
    const plane = await start(t);
    const { run_id } = await create(plane);
    const stream = await openRunStream(t, plane, run_id);
    t.like(await stream.wait('the present state', () => true), { event: 'state', state: 'Active', allowed: 0, denied: 0 });
    const journal = new TestJournal();
    await plane.call('POST', '/data-plane/events', { token: proxyToken, body: journal.segment([decided(run_id, newEgress()), denied(run_id, newEgress())]) });
    t.like(await stream.wait('progress', ({ event }) => event === 'progress'), { state: 'Active', allowed: 1, denied: 1 });
    await plane.call('POST', `/chat/run/${run_id}/cancel`, { body: { reason: 'enough' } });
    t.like(await stream.wait('the end', ({ state }) => state === 'Cancelled'), { event: 'state', reason: 'enough' });
    await within('the stream to end', stream.ended);
    const late = await openRunStream(t, plane, run_id);
    t.like(await late.wait('the last state', () => true), { event: 'state', state: 'Cancelled' });
    await within('a stream of a run that is over to end', late.ended);
  });

  test(`a run is settled once proxies have given back what they held and shipped what they knew (${name})`, async (t) => {
    const plane = await start(t);
    await openProxyStream(t, plane, 'prx_1');
    const run = await create(plane, { channel: 'jail' });
    t.deepEqual(run.proxies, { connected: 1, acknowledged: 1 });
    const { run_id } = run;
    const journal = new TestJournal();
    const draw = { draw_id: 'drw_1', journal_id: journal.journal_id, run_id, epoch: 1, wanted: { requests: 5 } };
    await plane.call('POST', '/data-plane/allowances', { token: proxyToken, body: draw });
    t.like((await plane.call<SettledAnswer>('GET', `/chat/run/${run_id}/settled`)).body, { settled: false }, 'it is not over');
    await plane.call('POST', `/chat/run/${run_id}/transition`, { body: { to: 'Done', exit_code: 0 } });
    t.like((await plane.call<SettledAnswer>('GET', `/chat/run/${run_id}/settled?wait_ms=300`)).body, { settled: false }, 'units are outstanding');
    const waiting = plane.call<SettledAnswer>('GET', `/chat/run/${run_id}/settled?wait_ms=10000`);
    await plane.call('POST', '/data-plane/events', { token: proxyToken, body: journal.segment([decided(run_id, newEgress()), returned(run_id, { requests: 249 })]) });
    const settled = await waiting;
    t.like(settled.body, { settled: true });
    const actions = await plane.call<Page<RunAction>>('GET', `/chat/run/${run_id}/actions`);
    t.true(actions.body.items.every(({ entry_index }) => entry_index !== null && entry_index < settled.body.chain.size));
    t.like((await plane.call<RunView>('GET', `/chat/run/${run_id}`)).body.budget.requests, { used: 1, reserved: 0 });
  });

  test(`a heartbeat answers state and budget, also when the run is over (${name})`, async (t) => {
    const plane = await start(t);
    const { run_id } = await create(plane, { channel: 'jail' });
    t.like((await plane.call<HeartbeatAnswer>('POST', `/chat/run/${run_id}/heartbeat`)).body, { state: 'Active', epoch: 1, budget: { requests: { limit: 1000 } } });
    await plane.call('POST', `/chat/run/${run_id}/cancel`);
    t.like((await plane.call<HeartbeatAnswer>('POST', `/chat/run/${run_id}/heartbeat`)).body, { state: 'Cancelled' });
    t.is((await plane.call('POST', '/chat/run/run_none/heartbeat')).status, 404);
  });
}
