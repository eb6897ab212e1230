import test from 'ava';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createRelay, type Relay } from '../../../cli/run/relay.ts';
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
  const path = join(await temporaryFolder(lifetime), 'run');
  const waiting: Socket[] = [];
  const worker: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => { /* Looked at by its close. */ });
    waiting.push(socket);
  });
  worker.listen(path);
  const relay = createRelay(path);
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

test('without a worker the agent is reset, not left waiting', async (t) => {
  const relay = createRelay(join(await temporaryFolder(t), 'nobody'));
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
