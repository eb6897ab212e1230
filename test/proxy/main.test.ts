/** The worker as the supervisor knows it: a process that is configured by IPC, told to end, orphaned or killed. */
import test, { type ExecutionContext } from 'ava';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ask, loopback, RawClient, head, startLocalOrigin, startLocalServer } from '../helpers/proxy-worker.ts';
import { startFakeControlPlane, type FakeControlPlane, type FakeRun } from '../helpers/fake-control-plane.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { event, until, within } from '../helpers/wait.ts';

/** So that only the first of them has to strip its types. */
let compiled: string;
const lifetime = fileLifetime();
test.before(async () => { compiled = await temporaryFolder(lifetime); });

const main = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url));

interface Started {
  readonly child: ChildProcess;
  readonly told: readonly { readonly type: string; readonly addresses?: { readonly proxy?: { readonly host: string; readonly port: number } }; readonly problem?: { readonly code: string; readonly detail: string; readonly exit: number } }[];
  said(): string;
}

function start(t: ExecutionContext, configuration: object): Started {
  const child = fork(main, [], { execArgv: ['--disable-warning=ExperimentalWarning', '--disallow-code-generation-from-strings'], env: { NODE_COMPILE_CACHE: compiled }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let said = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', (text: string) => { said += text; });
  const told: Started['told'][number][] = [];
  child.on('message', (message) => told.push(message as Started['told'][number]));
  child.send({ type: 'configuration', configuration });
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return { child, told, said: () => said };
}

interface Setup {
  readonly control: FakeControlPlane;
  readonly configuration: { readonly data_folder: string; readonly listen: { readonly host: string; readonly port: number } };
}

async function setUp(t: ExecutionContext): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const control = await startFakeControlPlane(t, folder);
  return {
    control,
    configuration: { data_folder: folder, slot: 0, control_plane: { socket_path: control.socketPath }, data_plane_token: control.token, listen: { host: '127.0.0.1', port: 0 } } as Setup['configuration'],
  };
}

/** The port, once it is ready. */
async function ready({ told, said }: Started): Promise<number> {
  const message = await until('the worker to be ready', () => told[0], 30_000).catch((error: unknown) => { throw new Error(`${String(error)}\n${said()}`); });
  if (message.addresses?.proxy === undefined) throw new Error(JSON.stringify(message));
  return message.addresses.proxy.port;
}

function createRun(control: FakeControlPlane, ports: readonly number[]): FakeRun {
  return control.createRun({
    allow: [{ host: 'site.test', ports, methods: ['GET'] }],
    policy: { ...loopback, resolve: ports.map((port) => ({ host: 'site.test', port, address: '127.0.0.1' })) },
  });
}

test.serial('a worker is ready when it can decide, serves, and ends in order when told to', async (t) => {
  const { control, configuration } = await setUp(t);
  const origin = await startLocalOrigin(t);
  const run = createRun(control, [origin.port]);
  const worker = start(t, configuration);
  const port = await ready(worker);
  t.is((await ask({ port }, `http://site.test:${origin.port}/`, { authorization: run.authorization })).status, 200);
  worker.child.kill('SIGTERM');
  const [code] = await event('the worker to end', worker.child, 'exit');
  t.is(code, 0, worker.said());
  t.deepEqual(control.of(run).map(({ type }) => type), ['egress.decided', 'egress.completed', 'allowance.returned']);
  for (const meter of ['requests', 'bytes_out', 'bytes_in'] as const) t.is(control.reserved(run, meter), 0);
  t.false(worker.said().includes(run.token));
  t.false(worker.said().includes(control.token));
});

test.serial('a wrong configuration is told whole, with the exit code of its class', async (t) => {
  const worker = start(t, { data_folder: 'relative', slot: -1, surprise: 1 });
  const exiting = event('the worker to end', worker.child, 'exit', 30_000);
  const [code] = await exiting;
  t.is(code, 78);
  t.is(worker.told[0]?.type, 'failed');
  t.like(worker.told[0]?.problem, { code: 'configuration', exit: 78 });
  for (const wrong of ['data_folder', 'slot', 'data_plane_token', 'surprise']) t.true(worker.told[0]?.problem?.detail.includes(wrong), wrong);
});

test.serial('a port that is taken is told, and nothing stays behind', async (t) => {
  const { configuration } = await setUp(t);
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const worker = start(t, { ...configuration, listen: { host: '127.0.0.1', port: (taken.address() as AddressInfo).port } });
  const [code] = await event('the worker to end', worker.child, 'exit', 30_000);
  t.is(code, 69);
  t.like(worker.told[0], { type: 'failed', problem: { code: 'port_in_use' } });
});

test.serial('a worker whose supervisor dies ends at once', async (t) => {
  const { configuration } = await setUp(t);
  const worker = start(t, configuration);
  await ready(worker);
  const exiting = event('the worker to end', worker.child, 'exit');
  worker.child.disconnect();
  t.is((await exiting)[0], 0);
});

test.serial('killed in the middle of it all, a worker loses no record: the next one ends its journal, names what was open, and the ledger stands', async (t) => {
  const { control, configuration } = await setUp(t);
  const origin = await startLocalOrigin(t);
  const silent = await startLocalServer(t, (socket) => { socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst'); });
  const run = createRun(control, [origin.port, silent.port]);
  const first = start(t, configuration);
  const port = await ready(first);
  for (let index = 0; index < 20; index++) t.is((await ask({ port }, `http://site.test:${origin.port}/${index}`, { authorization: run.authorization })).status, 200);
  const open = new RawClient({ port });
  await open.send(head(`http://site.test:${silent.port}/open`, { authorization: run.authorization })).until('the open answer', (text) => text.includes('first'));
  const exiting = event('the worker to end', first.child, 'exit');
  first.child.kill('SIGKILL');
  await exiting;

  const second = start(t, configuration);
  await ready(second);
  await control.ingested('what the first one had recorded', (events) => events.some(({ type }) => type === 'journal.recovered'));
  const decided = control.of(run, 'egress.decided');
  t.is(decided.length, 21);
  t.deepEqual(new Set(decided.map(({ payload }) => payload['path'])), new Set([...origin.requests.map(({ url }) => url), '/open']));
  const unfinished = decided.filter(({ event_id }) => !control.of(run, 'egress.completed').some(({ causes }) => causes.includes(event_id)));
  const recovered = control.events.find(({ type }) => type === 'journal.recovered');
  t.deepEqual(recovered?.facts['open'], unfinished.map(({ facts }) => ({ egress_id: facts['egress_id'], run_id: run.snapshot.run_id })));
  t.true(unfinished.some(({ payload }) => payload['path'] === '/open'));
  t.is(control.used(run, 'requests'), 21);
});

test.serial('rubbish on its listener does not end it', async (t) => {
  const { control, configuration } = await setUp(t);
  const run = createRun(control, [80]);
  const worker = start(t, configuration);
  const port = await ready(worker);
  for (const bytes of ['\0\0\0\0', '\x16\x03\x01\x00\x05', 'GET\r\n\r\n', `GET / HTTP/1.1\r\n${'x'.repeat(70_000)}`, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '']) {
    const socket = createConnection(port, '127.0.0.1');
    socket.on('error', () => { /* It may be reset. */ });
    socket.resume();
    socket.end(bytes, 'latin1');
    await within('the connection to be closed', once(socket, 'close'));
  }
  t.is((await ask({ port }, 'http://evil.test/', { authorization: run.authorization })).code, 'policy_denied');
  t.is(worker.child.exitCode, null);
});
