import test from 'ava';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Problem } from '../../contracts/errors.ts';
import type { CreatedRun, Page, RunView } from '../../contracts/run-api.ts';
import { makeTemplate } from '../../control-plane/database/make-template.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { listen } from '../helpers/listen.ts';
import { until, within } from '../helpers/wait.ts';
import { call, proxyToken } from './harness.ts';

type Message = { readonly type: 'ready'; readonly addresses: { readonly api_socket: string; readonly api?: string }; readonly notices?: readonly string[] } | { readonly type: 'failed'; readonly problem: Problem };

const script = fileURLToPath(new URL('../../control-plane/main.ts', import.meta.url));
const policies = fileURLToPath(new URL('../../policies', import.meta.url));

interface Started {
  readonly child: ChildProcess;
  readonly message: Message;
  readonly exited: Promise<unknown[]>;
}

async function start(lifetime: Lifetime, folder: string, more: object = {}, environment: Readonly<Record<string, string>> = {}): Promise<Started> {
  await makeTemplate();
  const child = fork(script, [], { execArgv: ['--disable-warning=ExperimentalWarning', '--disallow-code-generation-from-strings'], env: { ...process.env, ...environment }, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const exited = once(child, 'exit');
  lifetime.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  child.send({ type: 'configuration', configuration: { data_folder: folder, api_socket: join(folder, 'api.sock'), policies_folder: policies, data_plane_token: proxyToken, ...more } });
  const [message] = await within('the control plane to say how its start went', once(child, 'message'), 60_000) as [Message];
  return { child, message, exited };
}

test.serial('it says that it is ready and where, and ends in order when it is told to', async (t) => {
  const folder = await temporaryFolder(t);
  const { child, message, exited } = await start(t, folder);
  const socketPath = join(folder, 'api.sock');
  t.deepEqual(message, { type: 'ready', addresses: { api_socket: socketPath } });
  t.is((await stat(socketPath)).mode & 0o777, 0o600);
  t.is((await call<CreatedRun>({ socketPath }, 'POST', '/chat/run', { body: { goal: 'test' } })).status, 201);
  child.kill('SIGTERM');
  t.deepEqual(await within('its end', exited), [0, null]);
  t.true(existsSync(join(folder, 'seals.jsonl')), 'what happened is sealed');
});

test.serial('it ends when its supervisor is gone', async (t) => {
  const { child, exited } = await start(t, await temporaryFolder(t));
  child.disconnect();
  t.deepEqual(await within('its end', exited), [0, null]);
});

test.serial('killed once it is ready, it leaves its compiled code to its successor', async (t) => {
  const cache = join(await temporaryFolder(t), 'cache');
  await start(t, await temporaryFolder(t), {}, { NODE_COMPILE_CACHE: cache });
  await until('the compiled code', async () => (await readdir(cache, { recursive: true })).length > 100);
  t.pass();
});

test.serial('killed at any moment, it starts again with all that it had answered', async (t) => {
  const folder = await temporaryFolder(t);
  const socketPath = join(folder, 'api.sock');
  const answered: string[] = [];
  for (let round = 0; round < 3; round++) {
    const { child, message, exited } = await start(t, folder);
    t.is(message.type, 'ready');
    const requests = Array.from({ length: 5 + round * 7 }, () => call<CreatedRun>({ socketPath }, 'POST', '/chat/run', { body: { goal: 'test' } }).then(({ body, status }) => {
      t.is(status, 201);
      answered.push(body.run_id);
      // In the middle of the others.
      if (answered.length % 5 === 0) child.kill('SIGKILL');
    }, () => undefined));
    await Promise.all(requests);
    child.kill('SIGKILL');
    await exited;
  }
  await start(t, folder);
  const { items } = (await call<Page<RunView>>({ socketPath }, 'GET', '/chat/run?limit=200')).body;
  const known = new Set(items.map(({ run_id }) => run_id));
  t.true(answered.length >= 15);
  t.deepEqual(answered.filter((run_id) => !known.has(run_id)), []);
});

test.serial('what it cannot start with is told as a problem, and nothing stays behind', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'empty'));
  const server = createServer();
  const taken = await listen(server, () => server.listen(0, '127.0.0.1'));
  t.teardown(() => server.close());
  const table: readonly [string, object, string, number][] = [
    ['configuration', { data_plane_token: 'secret', colour: 'red' }, 'configuration', 78],
    ['database', { database_url: 'postgres://nobody@127.0.0.1:1/none' }, 'database_unavailable', 69],
    ['policies', { policies_folder: join(folder, 'empty') }, 'policy_folder', 78],
    ['port', { api_listen: { host: '127.0.0.1', port: taken } }, 'port_in_use', 69],
  ];
  for (const [what, more, code, exit] of table) {
    const { message, exited } = await start(t, folder, more);
    t.is(message.type, 'failed', what);
    if (message.type !== 'failed') continue;
    t.is(message.problem.code, code, message.problem.detail);
    t.false(message.problem.detail.includes('secret'));
    t.deepEqual(await within('its end', exited), [exit, null], what);
  }
});
