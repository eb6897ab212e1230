import test from 'ava';
import { Readable } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import type { StreamMessage } from '../../../contracts/data-plane.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { PushStream } from '../../../proxy/control-plane/stream.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { until } from '../../helpers/wait.ts';

interface Connection {
  readonly body: Readable;
  readonly signal: AbortSignal;
}

interface Setup {
  readonly clock: TestClock;
  readonly connections: Connection[];
  readonly messages: StreamMessage[];
  readonly down: SallyportError[];
  refuse: boolean;
  tries: number;
  onMessage: ((message: StreamMessage) => void) | undefined;
}

function setUp(t: { teardown(fn: () => void): void }): Setup {
  const setup: Setup = { clock: testClock(), connections: [], messages: [], down: [], refuse: false, tries: 0, onMessage: undefined };
  const stream = new PushStream({
    clock: setup.clock,
    open(signal) {
      setup.tries++;
      if (setup.refuse) return Promise.reject(new SallyportError('control_plane_unreachable', 'refused'));
      const body = new Readable({ read: () => undefined });
      signal.addEventListener('abort', () => body.destroy(new Error('aborted')));
      setup.connections.push({ body, signal });
      return Promise.resolve(body as IncomingMessage);
    },
    onMessage: (message) => {
      setup.messages.push(message);
      setup.onMessage?.(message);
    },
    onDown: (problem) => setup.down.push(problem),
  });
  t.teardown(() => stream.end());
  return setup;
}

const hello = { type: 'hello', protocol: 1, incarnation: 'i', snapshot_max_age_ms: 1, revision: 'r' } as const;
const line = (message: object): string => `${JSON.stringify(message)}\n`;

/** What follows from what has happened has happened as well. */
const settled = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

test('messages come whole and in order, however the bytes are cut', async (t) => {
  const { connections, messages } = setUp(t);
  await until('the connection', () => connections.length === 1);
  const text = line(hello) + line({ type: 'synced', version: 3 }) + line({ type: 'heartbeat', at: 1 });
  for (const character of text) connections[0]!.body.push(character);
  await until('all messages', () => messages.length === 3);
  t.deepEqual(messages.map(({ type }) => type), ['hello', 'synced', 'heartbeat']);
});

test('a stream that ends is opened again at once, one that cannot be opened less and less often; each reason is told once', async (t) => {
  const setup = setUp(t);
  const { clock, connections, down } = setup;
  await until('the connection', () => connections.length === 1);
  setup.refuse = true;
  connections[0]!.body.push(null);
  await until('the end', () => down.length === 1);
  await settled();
  for (const [index, delay] of [50, 100, 200, 400, 500, 500].entries()) {
    clock.advance(delay - 1);
    t.is(setup.tries, index + 1);
    clock.advance(1);
    await until('the next try', () => setup.tries === index + 2);
    await settled();
  }
  t.deepEqual(down.map(({ message }) => message), ['The control plane closed the stream.', 'refused']);
  setup.refuse = false;
  clock.advance(500);
  await until('a connection', () => connections.length === 2);
});

test('a control plane that says nothing for three heartbeats is gone', async (t) => {
  const { clock, connections, down } = setUp(t);
  await until('the connection', () => connections.length === 1);
  connections[0]!.body.push(line(hello));
  clock.advance(14_999);
  t.false(connections[0]!.signal.aborted);
  clock.advance(1);
  t.true(connections[0]!.signal.aborted);
  await until('the stream to be down', () => down.length === 1);
});

const broken: readonly (readonly [string, string])[] = [
  ['another version of the protocol', line({ ...hello, protocol: 2 })],
  ['a line that is not JSON', 'not json\n'],
  ['a line without end', 'x'.repeat(5 * 1024 * 1024)],
];

for (const [title, text] of broken) {
  test(`the connection ends, and nothing is applied, at ${title}`, async (t) => {
    const { connections, down, messages } = setUp(t);
    await until('the connection', () => connections.length === 1);
    connections[0]!.body.push(text);
    await until('the end', () => down.length === 1);
    t.deepEqual(messages, []);
    t.true(connections[0]!.signal.aborted);
  });
}

test('a message that cannot be applied ends the connection: the next one begins with all that is live', async (t) => {
  const setup = setUp(t);
  await until('the connection', () => setup.connections.length === 1);
  setup.onMessage = () => { throw new TypeError('unforeseen'); };
  setup.connections[0]!.body.push(line(hello) + line({ type: 'synced', version: 1 }));
  await until('the end', () => setup.down.length === 1);
  t.is(setup.messages.length, 1);
});
