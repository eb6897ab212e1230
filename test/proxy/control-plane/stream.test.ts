import test, { type ExecutionContext } from 'ava';
import { PassThrough } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { dataPlaneVersion, type StreamMessage } from '../../../contracts/data-plane.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { PushStream } from '../../../proxy/control-plane/stream.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { until } from '../../helpers/wait.ts';

interface Setup {
  readonly clock: TestClock;
  /** What each try to open meets, in order; the last one stays. */
  readonly answers: (PassThrough | Error)[];
  tries: number;
  readonly messages: StreamMessage[];
  readonly down: SallyportError[];
}

function setUp(t: ExecutionContext, ...answers: (PassThrough | Error)[]): Setup {
  const setup: Setup = { clock: testClock(), answers, tries: 0, messages: [], down: [] };
  const stream = new PushStream({
    clock: setup.clock,
    async open(signal) {
      setup.tries++;
      const answer = setup.answers.length > 1 ? setup.answers.shift()! : setup.answers[0]!;
      if (answer instanceof Error) throw answer;
      signal.addEventListener('abort', () => answer.destroy());
      return answer as unknown as IncomingMessage;
    },
    onMessage: (message) => setup.messages.push(message),
    onDown: (problem) => setup.down.push(problem),
  });
  t.teardown(() => stream.end());
  return setup;
}

const away = (why: string = 'away'): SallyportError => new SallyportError('control_plane_unreachable', why);
const line = (message: StreamMessage): string => `${JSON.stringify(message)}\n`;
const hello = line({ type: 'hello', protocol: dataPlaneVersion, incarnation: 'inc', snapshot_max_age_ms: 1000, revision: 'r' });

/** Lets one pause pass and waits for the try after it. */
async function nextTry(setup: Setup, milliseconds: number): Promise<void> {
  const { tries } = setup;
  await until('the pause after a failure', () => setup.clock.waiting === 1);
  setup.clock.advance(milliseconds);
  await until('the next try', () => setup.tries > tries);
}

test('messages come whole and in order, however the bytes are cut', async (t) => {
  const body = new PassThrough();
  const setup = setUp(t, body);
  const text = hello + line({ type: 'synced', version: 7 });
  for (const character of text) body.write(character);
  await until('both messages', () => setup.messages.length === 2);
  t.deepEqual(setup.messages.map(({ type }) => type), ['hello', 'synced']);
});

test('a control plane that is away for long is asked at least twice a second', async (t) => {
  const setup = setUp(t, away());
  for (let round = 0; round < 12; round++) await nextTry(setup, 500);
  t.is(setup.tries, 13);
});

test('the same reason is told once until the stream is whole again', async (t) => {
  const first = new PassThrough();
  const setup = setUp(t, away('refused'), away('absent'), away('refused'), away('refused'), first, away('refused'));
  for (let round = 0; round < 4; round++) await nextTry(setup, 500);
  t.deepEqual(setup.down.map(({ message }) => message), ['refused', 'absent']);
  first.write(hello + line({ type: 'synced', version: 1 }));
  await until('the snapshot', () => setup.messages.length === 2);
  first.end();
  await until('the end of the stream', () => setup.down.length === 3);
  await nextTry(setup, 50);
  await until('the reason after that', () => setup.down.length === 4);
  t.deepEqual(setup.down.slice(2).map(({ message }) => message), ['The control plane closed the stream.', 'refused']);
});

test('a stream that breaks off is an unreachable control plane, no fault', async (t) => {
  const body = new PassThrough();
  const setup = setUp(t, body, away());
  body.write(hello);
  await until('the greeting', () => setup.messages.length === 1);
  body.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }));
  await until('the end', () => setup.down.length === 1);
  t.is(setup.down[0]?.code, 'control_plane_unreachable');
});

test('another version of the protocol is refused by its name', async (t) => {
  const body = new PassThrough();
  const setup = setUp(t, body, away());
  body.write(hello.replace(`"protocol":${dataPlaneVersion}`, '"protocol":999'));
  await until('the refusal', () => setup.down.length === 1);
  t.is(setup.down[0]?.code, 'not_supported');
  t.deepEqual(setup.messages, []);
});

test('a stream that says nothing for three heartbeats is given up', async (t) => {
  const setup = setUp(t, new PassThrough(), away());
  await until('the open stream', () => setup.clock.waiting === 1);
  setup.clock.advance(15_000);
  await until('the end', () => setup.down.length === 1);
  t.pass();
});
