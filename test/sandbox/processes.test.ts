import test from 'ava';
import { spawn } from 'node:child_process';
import { descendantsOf, isAlive, parseStat, statOf, threadsOfUser } from '../../sandbox/processes.ts';
import { until } from '../helpers/wait.ts';

test('a process may be named to mislead its readers', (t) => {
  const rest = 'S 77 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1';
  for (const name of ['sh', 'a b', ') R 1 (', '((()', '']) t.deepEqual(parseStat(`12 (${name}) ${rest}`), { pid: 12, state: 'S', parent: 77, startTime: '4242' }, name);
  for (const text of ['', '12', 'x (y) S', '12 (sh) S 1']) t.is(parseStat(text), undefined, text);
});

test('a process is itself only with its start time, and is not alive once it is dead', async (t) => {
  const child = spawn('sleep', ['100']);
  t.teardown(() => child.kill('SIGKILL'));
  const name = statOf(child.pid ?? 0);
  t.truthy(name);
  if (name === undefined) return;
  t.true(isAlive(name));
  t.false(isAlive({ ...name, startTime: '1' }));
  t.true(descendantsOf(process.pid).some(({ pid }) => pid === child.pid));
  t.true(threadsOfUser(process.getuid?.() ?? -1) >= 2);
  child.kill('SIGKILL');
  await until('its death', () => !isAlive(name));
});
