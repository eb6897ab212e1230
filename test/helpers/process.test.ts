import test from 'ava';
import { startProcess } from './process.ts';
import { until } from './wait.ts';

test('a line is given once it comes, whether it was printed before or after the question', async (t) => {
  const child = startProcess(t, 'sh', ['-c', 'echo first; read x; echo "got $x" >&2'], { input: 'word\n' });
  t.is((await child.line(/^got (.*)$/))[1], 'word');
  t.is((await child.line(/^fir/))[0], 'fir');
  t.deepEqual(await child.exit(), { code: 0, signal: undefined });
});

test('a line that does not come is told with all that the process said', async (t) => {
  const child = startProcess(t, 'sh', ['-c', 'echo something else; exit 3']);
  const error = await t.throwsAsync(child.line(/^wanted/));
  t.regex(error.message, /Ended \(3\) without a line \/\^wanted\/[\s\S]*something else/);
  const silent = startProcess(t, 'sleep', ['60']);
  await t.throwsAsync(silent.line(/x/, 50), { message: /Did not come within 50 ms: a line \/x\/ from sleep/ });
});

test('a program that is not there is an error, not a wait', async (t) => {
  const child = startProcess(t, '/nowhere/program', []);
  await t.throwsAsync(child.exit(), { message: /ENOENT/ });
  await t.throwsAsync(child.line(/x/), { message: /ENOENT/ });
});

test('what a program started dies with the lifetime as well', async (t) => {
  const ends: (() => unknown)[] = [];
  const child = startProcess({ teardown: (fn) => { ends.push(fn); } }, 'sh', ['-c', 'sleep 300 & echo "$!"; wait']);
  const grandchild = Number((await child.line(/^(\d+)$/))[1]);
  process.kill(grandchild, 0);
  for (const end of ends) await end();
  await until('the end of the grandchild', () => {
    try {
      process.kill(grandchild, 0);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ESRCH';
    }
  });
  t.is((await child.exit()).signal, 'SIGKILL');
});
