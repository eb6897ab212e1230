import test from 'ava';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectRun } from '../../../cli/run/connect-run.ts';
import { createRelay, type Relay } from '../../../cli/run/relay.ts';
import { systemClock } from '../../../contracts/clock.ts';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { event, until } from '../../helpers/wait.ts';

interface Setup {
  readonly relay: Relay;
  /** A connection as the jail's listener accepts it, seen from the agent. */
  dial(): Promise<Socket>;
  /** The next connection at the worker's end. */
  accepted(): Promise<Socket>;
}

async function setUp(lifetime: Lifetime): Promise<Setup> {
  const folder = await temporaryFolder(lifetime);
  await mkdir(join(folder, 's'));
  const waiting: Socket[] = [];
  const worker: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => { /* Looked at by its close. */ });
    waiting.push(socket);
  });
  worker.listen(join(folder, 's', 'run'));
  const relay = createRelay(connectRun(folder, 'run', systemClock));
  const listener = createServer({ allowHalfOpen: true }, (socket) => relay.accept(socket));
  listener.listen(0, '127.0.0.1');
  await Promise.all([once(worker, 'listening'), once(listener, 'listening')]);
  lifetime.teardown(() => {
    relay.close();
    worker.close();
    listener.close();
    for (const socket of waiting) socket.destroy();
  });
  return {
    relay,
    async dial() {
      const socket = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => { /* As above. */ });
      await once(socket, 'connect');
      return socket;
    },
    accepted: () => until('a connection at the worker', () => waiting.shift()),
  };
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

test('each direction ends by itself, and nothing is lost', async (t) => {
  const { dial, accepted } = await setUp(t);
  const agent = await dial();
  agent.end('request');
  const worker = await accepted();
  t.is(await readAll(worker), 'request');
  // The agent's side has ended; the answer still goes through.
  worker.end('answer');
  t.is(await readAll(agent), 'answer');
});

test('a reader that stops makes the writer wait', async (t) => {
  const { dial, accepted } = await setUp(t);
  const agent = await dial();
  agent.pause();
  const worker = await accepted();
  const block = Buffer.alloc(64 * 1024, 'x');
  let written = 0;
  while (worker.write(block) && written < 400) written++;
  // Kernel buffers and the streams' own hold some megabytes at most; 400 blocks are 25 MiB.
  await until('the writer to be held up', () => worker.writableLength > 0);
  t.true(written < 400, 'nothing ever made it wait');
  const total = (written + 1) * block.length;
  worker.end();
  let read = 0;
  for await (const chunk of agent) read += (chunk as Buffer).length;
  t.is(read, total);
});

test('an agent that goes away takes the worker\'s side along', async (t) => {
  const { dial, accepted } = await setUp(t);
  const agent = await dial();
  agent.write('x');
  const worker = await accepted();
  worker.resume();
  agent.resetAndDestroy();
  await event('the close of the worker\'s side', worker, 'end');
  const refused = event('a broken pipe', worker, 'error');
  worker.write('more');
  const [error] = await refused as [NodeJS.ErrnoException];
  t.is(error.code, 'EPIPE');
});

test('a worker that breaks off ends the answer, and what is sent to it then is reset', async (t) => {
  const { dial, accepted } = await setUp(t);
  const agent = await dial();
  agent.write('request');
  const worker = await accepted();
  // Bytes that nobody has read would turn its close into a reset at once.
  await event('the request', worker, 'data');
  worker.write('half an ans');
  worker.destroySoon();
  t.is(await readAll(agent), 'half an ans');
  const reset = event('a reset at the agent', agent, 'error');
  const writing = setInterval(() => agent.write('more'), 5);
  t.teardown(() => clearInterval(writing));
  const [error] = await reset as [NodeJS.ErrnoException];
  t.true(error.code === 'ECONNRESET' || error.code === 'EPIPE', error.code);
});

test('without a worker the agent is reset after a while, not left waiting', async (t) => {
  const relay = createRelay(connectRun(await temporaryFolder(t), 'run', systemClock, 100));
  const listener = createServer({ allowHalfOpen: true }, (socket) => relay.accept(socket));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.teardown(() => listener.close());
  const agent = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1' });
  const [error] = await event('a reset', agent, 'error') as [NodeJS.ErrnoException];
  t.is(error.code, 'ECONNRESET');
});

test('closing ends all connections and takes no new one', async (t) => {
  const { relay, dial, accepted } = await setUp(t);
  const agent = await dial();
  agent.write('x');
  const worker = await accepted();
  worker.resume();
  relay.close();
  await Promise.all([event('the agent\'s end', agent.resume(), 'end'), event('the worker\'s end', worker, 'end')]);
  const late = await dial();
  await event('the late one\'s end', late.resume(), 'end');
  t.pass();
});

test('a connection is carried to whichever worker serves the run, and waits for one that is just being restarted', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 's'));
  const served = new Map<string, number>();
  const serve = async (name: string): Promise<Server> => {
    const worker = createServer((socket) => {
      served.set(name, (served.get(name) ?? 0) + 1);
      socket.on('error', () => { /* Looked at by its close. */ });
      socket.end(name);
    });
    worker.listen(join(folder, 's', name));
    await once(worker, 'listening');
    t.teardown(() => worker.close());
    return worker;
  };
  const connect = connectRun(folder, 'run', systemClock);
  const ask = async (): Promise<string> => {
    const socket = (await connect(new AbortController().signal))!;
    const text = await readAll(socket);
    socket.destroy();
    return text;
  };
  const waiting = ask();
  const workers = await Promise.all(['run', 'run.1', 'run.2'].map(serve));
  await serve('runner');
  t.true(['run', 'run.1', 'run.2'].includes(await waiting));
  await until('all to be used', async () => {
    await ask();
    return served.size === 3;
  });
  // A name that its killed owner left behind refuses; the others serve.
  workers[0]!.close();
  await writeFile(join(folder, 's', 'run'), '');
  for (let count = 0; count < 20; count++) t.regex(await ask(), /^run\.[12]$/);
  t.false(served.has('runner'), 'another run\'s socket was used');
});
