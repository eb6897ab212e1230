import { join } from 'node:path';
import type { AgentMessage } from '../../../contracts/agents.ts';
import type { CreatedRun, RunView } from '../../../contracts/run-api.ts';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { within } from '../../helpers/wait.ts';
import { backends } from '../backends.ts';
import { call as callAt, openProxyStream, openStream, proxyToken, startTestControlPlane, type TestControlPlane, type TestStream } from '../harness.ts';

const command = { argv: ['agent', '--fast'], work: '/srv/work', env: { SECRET: 'dear-secret' } };

async function create(plane: TestControlPlane, body: object = {}): Promise<CreatedRun> {
  const { status, body: run, text } = await plane.call<CreatedRun>('POST', '/chat/run', { body: { goal: 'test', channel: 'jail', command, ...body } });
  if (status !== 201) throw new Error(text);
  return run;
}

const view = async (plane: TestControlPlane, run_id: string): Promise<RunView> => (await plane.call<RunView>('GET', `/chat/run/${run_id}`)).body;

async function openHost(lifetime: Lifetime, plane: TestControlPlane, present = ''): Promise<TestStream<AgentMessage>> {
  const query = `host_id=host_1${present === '' ? '' : `&present=${encodeURIComponent(present)}`}`;
  return await openStream(lifetime, join(plane.folder, 'api.sock'), `/data-plane/agents?${query}`, '\n', (text) => JSON.parse(text) as AgentMessage, proxyToken);
}

async function report(plane: TestControlPlane, body: object): Promise<void> {
  const { status, text } = await plane.call('POST', '/data-plane/agents/reports', { token: proxyToken, body: { host_id: 'host_1', epoch: 1, ...body } });
  if (status !== 200) throw new Error(text);
}

const told = (type: AgentMessage['type'], { run_id }: { readonly run_id: string }) => (message: AgentMessage): boolean => message.type === type && 'run_id' in message && message.run_id === run_id;
const tellings = (host: TestStream<AgentMessage>): readonly string[] => host.messages.flatMap((message) => 'run_id' in message ? [`${message.type} ${message.run_id}`] : []);

for (const { name, test, locate } of backends) {
  const start = async (lifetime: Lifetime): Promise<TestControlPlane> => {
    const { url } = await locate(lifetime);
    const plane = await startTestControlPlane(lifetime, url === undefined ? {} : { databaseUrl: url });
    await openProxyStream(lifetime, plane, 'prx_1');
    return plane;
  };

  test(`a host is told of an agent when its run becomes Active, and what it reports ends the run (${name})`, async (t) => {
    const plane = await start(t);
    const host = await openHost(t, plane);
    const first = await create(plane);
    const second = await create(plane, { session_id: first.session_id, queue: true });
    t.deepEqual(await host.wait('the first agent', told('agent', first)), {
      type: 'agent', run_id: first.run_id, epoch: 1, short_id: first.short_id, command: { ...command, give_work: false }, intercept: true,
    });
    await report(plane, { type: 'started', run_id: first.run_id });
    await report(plane, { type: 'exited', run_id: first.run_id, epoch: 2, exit_code: 1 });
    await report(plane, { type: 'exited', run_id: first.run_id, host_id: 'host_2', exit_code: 1 });
    t.is((await view(plane, first.run_id)).state, 'Active', 'not by the word of another start or another host');
    t.false(tellings(host).includes(`agent ${second.run_id}`));
    await report(plane, { type: 'exited', run_id: first.run_id, exit_code: 0 });
    t.like(await view(plane, first.run_id), { state: 'Done', exit_code: 0 });
    await host.wait('the second agent', told('agent', second));
    await report(plane, { type: 'exited', run_id: second.run_id, exit_code: 9 });
    t.like(await view(plane, second.run_id), { state: 'Failed', exit_code: 9, reason: 'the agent ended with exit code 9' });
    await report(plane, { type: 'exited', run_id: second.run_id, exit_code: 0 });
    t.is((await view(plane, second.run_id)).state, 'Failed', 'what is over stays so');

    const third = await create(plane);
    await host.wait('the third agent', told('agent', third));
    await report(plane, { type: 'refused', run_id: third.run_id, code: 'jail_spec', detail: 'no such folder.' });
    t.like(await view(plane, third.run_id), { state: 'Failed', reason: 'the agent could not be started: no such folder.' });

    const fourth = await create(plane);
    await host.wait('the fourth agent', told('agent', fourth));
    await plane.call('POST', `/chat/run/${fourth.run_id}/cancel`, { body: {} });
    await host.wait('the stop of the fourth', told('stop', fourth));
    const chain = (await plane.call<string>('GET', '/admin/audit/export')).text;
    t.true(chain.includes('--fast'), 'the chain knows what was started');
    t.false(chain.includes('dear-secret'), 'but no value of a variable');
    t.deepEqual(plane.faults, []);
  });

  test(`a host that comes back goes on with what it has, and has lost the rest (${name})`, async (t) => {
    const plane = await start(t);
    const host = await openHost(t, plane);
    const [kept, lost, untold] = [await create(plane), await create(plane), await create(plane)];
    for (const run of [kept, lost, untold]) await host.wait('an agent', told('agent', run));
    for (const { run_id } of [kept, lost]) await report(plane, { type: 'started', run_id });
    host.end();
    const again = await openHost(t, plane, `${kept.run_id}:1,run_of_old:1`);
    await again.wait('the agent whose start was never told', told('agent', untold));
    await again.wait('the stop of what nobody knows', told('stop', { run_id: 'run_of_old' }));
    t.like(await view(plane, lost.run_id), { state: 'Failed', reason: 'agent lost', exit_code: null });
    t.is((await view(plane, kept.run_id)).state, 'Active');
    t.false(tellings(again).includes(`agent ${kept.run_id}`), 'it is not started twice');
    const third = await openHost(t, plane, `${kept.run_id}:1,${untold.run_id}:1`);
    await within('the end of the stream before', again.ended);
    third.end();
    t.deepEqual(plane.faults, []);
  });

  test(`an agent waits until every proxy knows its run (${name})`, async (t) => {
    const { url } = await locate(t);
    const plane = await startTestControlPlane(t, url === undefined ? {} : { databaseUrl: url });
    const host = await openHost(t, plane);
    const run = await create(plane);
    await report(plane, { type: 'heartbeat', epoch: undefined, present: [] });
    t.deepEqual(tellings(host), []);
    await openProxyStream(t, plane, 'prx_1');
    await host.wait('the agent', told('agent', run));
  });

  test(`a command is for the local operator, and for channel jail (${name})`, async (t) => {
    const plane = await startTestControlPlane(t, { configuration: { api_listen: { host: '127.0.0.1', port: 0 } }, ...await locate(t).then(({ url }) => url === undefined ? {} : { databaseUrl: url }) });
    const [host = '', port = ''] = plane.controlPlane.addresses.api!.split(':');
    const key = /sp_op_\S+/.exec(plane.controlPlane.notices.join(' '))![0];
    const body = { goal: 'test', channel: 'jail', command };
    for (const target of [{ host, port: Number(port) }, { socketPath: join(plane.folder, 'api.sock') }]) {
      t.like(await callAt(target, 'POST', '/chat/run', { token: key, body, headers: { 'content-type': 'application/json' } }), { status: 403, body: { code: 'forbidden' } });
    }
    t.like(await plane.call('POST', '/chat/run', { body: { ...body, channel: 'credentials' } }), { status: 422, body: { errors: [{ path: 'command' }] } });
    const table: readonly [object, string][] = [
      [{ ...command, argv: [] }, 'command.argv'], [{ ...command, argv: Array.from({ length: 257 }, () => 'x') }, 'command.argv'], [{ ...command, argv: ['a\0'] }, 'command.argv[0]'], [{ ...command, argv: ['-a'] }, 'command.argv'],
      [{ ...command, argv: ['a', '\ud800'] }, 'command.argv[1]'], [{ ...command, work: 'relative' }, 'command.work'], [{ ...command, env: { 'A=B': 'c' } }, 'command.env.A=B'], [{ ...command, colour: 'red' }, 'command.colour'],
    ];
    for (const [wrong, path] of table) t.like(await plane.call('POST', '/chat/run', { body: { ...body, command: wrong } }), { status: 422, body: { errors: [{ path }] } }, path);
    t.is((await plane.call('GET', '/data-plane/agents?host_id=x')).status, 403);
    t.is((await plane.call('POST', '/data-plane/agents/reports', { body: {} })).status, 403);
    for (const present of ['x', 'x:1,', 'x:y', Array.from({ length: 129 }, (_, index) => `r${index}:1`).join(',')]) {
      t.like(await plane.call('GET', `/data-plane/agents?host_id=x&present=${present}`, { token: proxyToken }), { status: 422, body: { errors: [{ path: 'present' }] } }, present);
    }
  });
}
