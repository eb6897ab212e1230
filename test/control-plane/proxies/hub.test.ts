import test from 'ava';
import type { Spent } from '../../../contracts/budget.ts';
import type { DrawAnswer, StreamMessage } from '../../../contracts/data-plane.ts';
import { newId } from '../../../contracts/ids.ts';
import type { CreatedRun, RunView } from '../../../contracts/run-api.ts';
import { verifyExport } from '../../../contracts/verify.ts';
import type { ProxyView } from '../../../control-plane/proxies/commands.ts';
import { testClock } from '../../helpers/clock.ts';
import { until, within } from '../../helpers/wait.ts';
import { backends } from '../backends.ts';
import { openProxyStream, proxyToken, revision, startTestControlPlane, type TestControlPlane, type TestStream } from '../harness.ts';
import { denied, newEgress, TestJournal } from '../segments.ts';

type RunMessage = Extract<StreamMessage, { type: 'run' }>;

const runsIn = (stream: TestStream<StreamMessage>): readonly RunMessage[] => stream.messages.filter((message) => message.type === 'run');
const tells = (run_id: string, state: string) => (message: StreamMessage): boolean => message.type === 'run' && message.run.run_id === run_id && message.run.state === state;

async function create(plane: TestControlPlane, body: object = {}): Promise<CreatedRun> {
  return (await plane.call<CreatedRun>('POST', '/chat/run', { body: { goal: 'test', ...body } })).body;
}

const isRecall = ({ type }: StreamMessage): boolean => type === 'recall';

/** All that is wanted is waited for. */
async function draw(plane: TestControlPlane, run_id: string, journal_id: string, wanted: Spent): Promise<DrawAnswer> {
  return (await plane.call<DrawAnswer>('POST', '/data-plane/allowances', { token: proxyToken, body: { draw_id: newId('draw', Date.now()), journal_id, run_id, epoch: 1, wanted, waiting: wanted } })).body;
}

for (const { name, test, locate } of backends) {
  const start = async (...args: Parameters<typeof locate>): Promise<TestControlPlane> => {
    const { url } = await locate(...args);
    // Time stands still, so that a slow machine neither ends a run for want of a heartbeat nor a wait for a proxy.
    return await startTestControlPlane(args[0], { clock: testClock(), ...url !== undefined && { databaseUrl: url } });
  };

  test(`a proxy is told first what lives, then what changes, in order of version (${name})`, async (t) => {
    const plane = await start(t);
    const [live, over] = [await create(plane, { channel: 'jail', labels: { a: 'b' }, budget: { requests: 5 } }), await create(plane)];
    await plane.call('POST', `/chat/run/${over.run_id}/cancel`);
    const stream = await openProxyStream(t, plane, 'prx_1');
    t.deepEqual(stream.messages.slice(0, 3).map(({ type }) => type), ['hello', 'run', 'synced']);
    t.like(stream.messages[0], { protocol: 1, revision, snapshot_max_age_ms: 300_000 });
    t.like(runsIn(stream)[0]!.run, { run_id: live.run_id, session_id: live.session_id, short_id: live.short_id, state: 'Active', epoch: 1, channel: 'jail', labels: { a: 'b' }, taint: null });
    t.is(runsIn(stream)[0]!.run.limits.requests, 5);
    t.false(JSON.stringify(stream.messages).includes(live.agent_token), 'only the hash of a token');
    const next = await create(plane);
    t.deepEqual(next.proxies, { connected: 1, acknowledged: 1 });
    await plane.call('POST', `/chat/run/${live.run_id}/cancel`);
    await stream.wait('the cancelled run', tells(live.run_id, 'Cancelled'));
    const versions = runsIn(stream).map(({ version }) => version);
    t.deepEqual(versions, versions.toSorted((a, b) => a - b));
  });

  test(`a run is answered once every connected proxy has it; a slow one is told of (${name})`, async (t) => {
    const plane = await start(t);
    await openProxyStream(t, plane, 'prx_quick');
    const slow = await openProxyStream(t, plane, 'prx_slow', false);
    const creating = create(plane);
    const told = await slow.wait('the run', ({ type }) => type === 'run') as RunMessage;
    t.is(await Promise.race([creating.then(() => 'answered'), until('both proxies', async () => (await plane.call<{ items: ProxyView[] }>('GET', '/admin/proxies')).body.items.find(({ proxy_id, acknowledged_version }) => proxy_id === 'prx_quick' && acknowledged_version >= told.version)).then(() => 'waits')]), 'waits');
    await plane.call('POST', '/data-plane/acknowledgements', { token: proxyToken, body: { proxy_id: 'prx_slow', version: told.version, revision } });
    t.deepEqual((await within('the answer', creating)).proxies, { connected: 2, acknowledged: 2 });
    slow.end();
    await until('the slow one to be gone', async () => (await plane.call<{ items: ProxyView[] }>('GET', '/admin/proxies')).body.items.filter(({ connected }) => connected).length === 1);
    t.deepEqual((await create(plane)).proxies, { connected: 1, acknowledged: 1 });
  });

  test(`a seal tells proxies which segments they may delete, also those that connect later (${name})`, async (t) => {
    const plane = await start(t);
    const stream = await openProxyStream(t, plane, 'prx_1');
    const journal = new TestJournal();
    await plane.call('POST', '/data-plane/events', { token: proxyToken, body: journal.segment([denied('run_x', newEgress())]) });
    await plane.call('POST', '/data-plane/events', { token: proxyToken, body: journal.segment([denied('run_x', newEgress())]) });
    await plane.call('GET', '/admin/audit/export');
    const expected = { type: 'sealed', journal_id: journal.journal_id, through: 1 };
    t.deepEqual(await stream.wait('the seal', (message) => message.type === 'sealed' && message.through === 1) as unknown, expected);
    const later = await openProxyStream(t, plane, 'prx_2');
    t.deepEqual(await later.wait('the seal', ({ type }) => type === 'sealed') as unknown, expected);
  });

  test(`a recall reaches the workers that hold something of the run, once on each stream, until it is answered (${name})`, async (t) => {
    const plane = await start(t);
    const { run_id } = await create(plane, { budget: { requests: 5, bytes_in: 5 } });
    await draw(plane, run_id, 'jnl_holder', { requests: 5, bytes_in: 5 });
    const [holder, other, older] = [await openProxyStream(t, plane, 'prx_1', true, 'jnl_holder'), await openProxyStream(t, plane, 'prx_2', true, 'jnl_other'), await openProxyStream(t, plane, 'prx_3')];
    t.like(await draw(plane, run_id, 'jnl_other', { requests: 1, bytes_in: 1 }), { granted: { requests: 0, bytes_in: 0 }, recalling: ['requests', 'bytes_in'] });
    const expected = { type: 'recall', run_id, recalls: { requests: 1, bytes_in: 1 } };
    t.deepEqual(await holder.wait('the recall', isRecall) as unknown, expected);
    // Another change passes by, and brings it to nobody a second time.
    const next = await create(plane);
    for (const stream of [holder, other, older]) await stream.wait('the run', tells(next.run_id, 'Active'));
    t.deepEqual([holder, other, older].map(({ messages }) => messages.filter(isRecall).length), [1, 0, 0]);
    holder.end();
    const again = await openProxyStream(t, plane, 'prx_1', true, 'jnl_holder');
    t.deepEqual(await again.wait('the recall', isRecall) as unknown, expected, 'whoever comes back has not answered it yet');
    for (let count = 0; count < 2; count++) {
      t.like(await plane.call('POST', '/data-plane/returns', { token: proxyToken, body: { journal_id: 'jnl_holder', run_id, returned: { requests: 2 }, recalls: { requests: 1, bytes_in: 1 } } }), { status: 200 });
    }
    t.like(await draw(plane, run_id, 'jnl_other', { requests: 3, bytes_in: 1 }), { granted: { requests: 2, bytes_in: 0 }, exhausted: ['bytes_in'] });
  });
}

const postgres = backends.find(({ name }) => name === 'Postgres')!;

postgres.test('two control planes on one database are one: runs, acknowledgements, cancels and the chain', async (t) => {
  const { url } = await postgres.locate(t);
  const one = await startTestControlPlane(t, { databaseUrl: url! });
  const two = await startTestControlPlane(t, { databaseUrl: url! });
  const streams = [await openProxyStream(t, one, 'prx_one'), await openProxyStream(t, two, 'prx_two')];
  const run = await create(one, { channel: 'jail' });
  t.deepEqual(run.proxies, { connected: 2, acknowledged: 2 }, 'the other replica\'s proxy is waited for');
  for (const stream of streams) await stream.wait('the run', tells(run.run_id, 'Active'));
  t.is((await two.call<RunView>('GET', `/chat/run/${run.run_id}`)).body.state, 'Active');
  const begun = performance.now();
  await two.call('POST', `/chat/run/${run.run_id}/cancel`);
  for (const stream of streams) await stream.wait('the cancel', tells(run.run_id, 'Cancelled'));
  t.log(`cancel on the other replica reached both proxies in ${Math.round(performance.now() - begun)} ms`);
  const bounded = await create(one, { budget: { requests: 3 } });
  await draw(one, bounded.run_id, 'jnl_two', { requests: 3 });
  streams.push(await openProxyStream(t, two, 'prx_holder', true, 'jnl_two'));
  const asked = performance.now();
  t.like(await draw(one, bounded.run_id, 'jnl_one', { requests: 1 }), { recalling: ['requests'] });
  await streams[2]!.wait('the recall', isRecall);
  t.log(`recall on the other replica reached its proxy in ${Math.round(performance.now() - asked)} ms`);
  await Promise.all(Array.from({ length: 20 }, (_, index) => create(index % 2 === 0 ? one : two)));
  for (const stream of streams) {
    await until('all runs', () => runsIn(stream).length >= 21);
    const versions = runsIn(stream).map(({ version }) => version);
    t.deepEqual(versions, versions.toSorted((a, b) => a - b));
  }
  await until('both to see one head', async () => {
    const [first, second] = await Promise.all([one, two].map((plane) => plane.call<{ size: number; root: string }>('GET', '/admin/audit/head')));
    return first!.body.size === second!.body.size && first!.body.root === second!.body.root && first!.body.size >= 23;
  });
  for (const plane of [one, two, one]) {
    const report = verifyExport((await plane.call<string>('GET', '/admin/audit/export')).text.split('\n').slice(0, -1));
    t.deepEqual(report.problems, [], 'either one\'s export verifies with its own key');
    t.is(report.sealed, report.entries);
  }
  t.deepEqual([...one.faults, ...two.faults], []);
});

test.serial('a proxy that does not read is cut off, not queued for without end', async (t) => {
  const plane = await startTestControlPlane(t, { clock: testClock() });
  const stream = await openProxyStream(t, plane, 'prx_deaf', false);
  stream.pause();
  const policy = { params: { big: { text: 'x'.repeat(8000) } }, allow: Array.from({ length: 200 }, (_, index) => ({ id: `rule${index}`, host: `${'h'.repeat(60)}${index}.${'i'.repeat(60)}.${'j'.repeat(60)}.test`, ports: [80], methods: ['GET'] })) };
  // It acknowledges what it has not read, so that nobody waits for it.
  await plane.call('POST', '/data-plane/acknowledgements', { token: proxyToken, body: { proxy_id: 'prx_deaf', version: 1_000_000, revision } });
  const connected = async (): Promise<number> => (await plane.call<{ items: ProxyView[] }>('GET', '/admin/proxies')).body.items.filter((proxy) => proxy.connected).length;
  let created = 0;
  while (created < 500 && await connected() === 1) {
    await Promise.all(Array.from({ length: 20 }, () => create(plane, { policy })));
    created += 20;
  }
  t.true(created < 500, 'it was cut off');
  const back = await openProxyStream(t, plane, 'prx_deaf');
  t.is(runsIn(back).length, created, 'it connects again and has everything');
  t.deepEqual(plane.faults, []);
});

test.serial('a stop ends streams and waits in order', async (t) => {
  const plane = await startTestControlPlane(t);
  const stream = await openProxyStream(t, plane, 'prx_1');
  const { run_id } = await create(plane);
  const waiting = plane.call<RunView>('GET', `/chat/run/${run_id}/settled?wait_ms=1500`);
  // Connections are accepted in their order: once this one is answered, the one before has come.
  await plane.call('GET', '/healthz');
  await plane.stop();
  await within('the stream to end', stream.ended);
  t.like(await waiting, { status: 200 });
  t.deepEqual(plane.faults, []);
});
