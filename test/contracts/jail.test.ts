import test from 'ava';
import { SallyportError } from '../../contracts/errors.ts';
import { parseJailSpec, type JailSpecInput } from '../../contracts/jail.ts';

const least = { argv: ['true'], run_id: 'run_1', work: '/w' };

test('a program, a run and a folder are enough; the rest has defaults', (t) => {
  t.deepEqual(parseJailSpec(least), {
    ...least, env: {}, give_work: false, keep_out: [], memory_bytes: 4 * 1024 ** 3, pids: 512, tmp_bytes: 1024 ** 3, home_bytes: 1024 ** 3, unix_sockets: 'allow',
  });
});

const mistakes: readonly (readonly [object, string])[] = [
  [{ argv: [] }, 'argv'],
  [{ argv: [''] }, 'argv'],
  [{ argv: ['--help'] }, 'argv'],
  [{ argv: ['A=b', 'true'] }, 'argv'],
  [{ argv: ['a\0b'] }, 'argv.0'],
  [{ argv: ['true', 'x'.repeat(128 * 1024)] }, 'argv.1'],
  [{ argv: ['true', ...Array.from({ length: 20 }, () => 'x'.repeat(100_000))] }, 'argv'],
  [{ env: { 'A B': '' } }, 'env.A B'],
  [{ env: { A: '\0' } }, 'env.A'],
  [{ run_id: '' }, 'run_id'],
  [{ run_id: 'a/b' }, 'run_id'],
  [{ work: 'relative' }, 'work'],
  [{ work: '/a\0b' }, 'work'],
  [{ keep_out: ['data'] }, 'keep_out.0'],
  [{ memory_bytes: 1 }, 'memory_bytes'],
  [{ pids: 1 }, 'pids'],
  [{ pids: 1.5 }, 'pids'],
  [{ tmp_bytes: 0 }, 'tmp_bytes'],
  [{ cpu: 0 }, 'cpu'],
  [{ unix_sockets: 'some' }, 'unix_sockets'],
  // Nothing that is asked for switches a defence off.
  [{ defences: { network: 'shared' } }, 'jail'],
  [{ seccomp: false }, 'jail'],
];

for (const [index, [change, path]] of mistakes.entries()) {
  test(`refused with its place (${index + 1}): ${JSON.stringify(change).slice(0, 60)}`, (t) => {
    const error = t.throws(() => parseJailSpec({ ...least, ...change } as JailSpecInput), { instanceOf: SallyportError, code: 'jail_spec' });
    t.true(error?.extras.errors?.some((one) => one.path === path), JSON.stringify(error?.extras.errors));
  });
}
