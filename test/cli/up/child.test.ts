import test from 'ava';
import { fileURLToPath } from 'node:url';
import { Child } from '../../../cli/up/child.ts';
import { systemClock } from '../../../contracts/clock.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { startProcess } from '../../helpers/process.ts';
import { until } from '../../helpers/wait.ts';

const script = new URL('../../fixtures/cli/child.ts', import.meta.url);

function make(behaviour: string): { readonly child: Child; said(): string; pids(): number[] } {
  let text = '';
  const child = new Child({ name: 'thing', script, configuration: () => ({ behaviour }), environment: {}, logFile: '/x.log', log: (more) => { text += String(more); } }, systemClock);
  return { child, said: () => text, pids: () => [...text.matchAll(/pid (\d+)/g)].map((match) => Number(match[1])) };
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a child is told its configuration, says when it is ready, and ends when it is stopped', async (t) => {
  const { child, pids } = make('ready');
  t.deepEqual(await child.start(), { addresses: { proxy: { host: '127.0.0.1', port: 1 } }, notices: ['a notice'] });
  const [pid = 0] = await until('its pid', () => pids().length > 0 && pids());
  t.true(alive(pid));
  await child.stop();
  t.false(alive(pid));
});

test('a child that is killed is started again, each time', async (t) => {
  const { child, said, pids } = make('ready');
  await child.start();
  for (let kills = 1; kills <= 3; kills++) {
    const pid = await until(`process ${kills}`, () => pids()[kills - 1]);
    process.kill(pid, 'SIGKILL');
    await until(`restart ${kills}`, () => said().split('was restarted').length > kills);
  }
  t.true(said().includes('ended by itself (SIGKILL)'));
  await child.stop();
  t.deepEqual(pids().filter((pid) => alive(pid)), []);
});

test('a child that is replaced ends when it has been told so, and its successor is ready', async (t) => {
  const { child, said, pids } = make('ready');
  await t.throwsAsync(child.replace(0), { message: /just starting or ending/ });
  await child.start();
  for (let times = 1; times <= 2; times++) {
    await child.replace(5000);
    await until('the successor to say so', () => said().split('was replaced').length > times);
  }
  t.false(said().includes('ended by itself'));
  t.is(said().split(' drain').length, 3);
  await t.throwsAsync(Promise.all([child.replace(5000), child.replace(5000)]), { message: /just starting or ending/ });
  await child.stop();
  t.deepEqual(pids().filter((pid) => alive(pid)), []);
});

test('a child that waits for something fails the first start', async (t) => {
  const waiting = make('waiting');
  const error = await t.throwsAsync(waiting.child.start(), { instanceOf: SallyportError });
  t.is(error?.code, 'control_plane_unreachable');
  t.is(error?.message, 'Nobody is there.');
  t.deepEqual(waiting.pids().filter((pid) => alive(pid)), []);
});

test('a child that says why it cannot start gives that problem, and is gone', async (t) => {
  const { child, pids } = make('fail');
  const error = await t.throwsAsync(child.start(), { instanceOf: SallyportError });
  t.is(error?.code, 'port_in_use');
  t.is(error?.message, 'Port 1 is taken.');
  t.deepEqual(pids().filter((pid) => alive(pid)), []);
});

test('a child that ends while it starts is a failure, not a restart', async (t) => {
  const { child, pids } = make('crash');
  const error = await t.throwsAsync(child.start(), { instanceOf: SallyportError });
  t.regex(error?.message ?? '', /thing ended while it started/);
  t.deepEqual(error?.extras.next_steps, ['See /x.log.']);
  t.is(pids().length, 1);
});

test('a child that hears nothing any more dies with a supervisor that is killed', async (t) => {
  const supervisor = startProcess(t, process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('../../fixtures/cli/supervisor.ts', import.meta.url))]);
  const [, text = ''] = await supervisor.line(/pid (\d+) stuck/);
  const pid = Number(text);
  t.true(alive(pid));
  supervisor.kill('SIGKILL');
  await until('the child to be gone', () => !alive(pid));
  t.pass();
});
