import test from 'ava';
import { reportReader } from './report.ts';

const printed: readonly (readonly [text: string, counted: 'passed' | 'failed' | 'skipped' | 'nothing'])[] = [
  ['  ✔ a › works', 'passed'],
  ['  ✔ a › takes its time (1.2s)', 'passed'],
  ['  \u001B[32m✔\u001B[39m a › in colour', 'passed'],
  ['  ✘ [fail]: a › breaks', 'failed'],
  ['  ✘ [fail]: before hook for a › x `t.teardown()` is not allowed in hooks', 'failed'],
  ['  ✘ Timed out while running tests', 'failed'],
  ['  ✘ test/a.test.ts exited due to SIGSEGV', 'failed'],
  ['  ✘ No tests found in test/a.test.ts', 'failed'],
  ['  Uncaught exception in test/a.test.ts', 'failed'],
  ['  Unhandled rejection in test/a.test.ts', 'failed'],
  ['  - [skip] b › waits', 'skipped'],
  ['    ℹ logged ✔', 'nothing'],
  ['  a › breaks', 'nothing'],
  ['  2 tests failed', 'nothing'],
  ['', 'nothing'],
];

for (const [text, counted] of printed) {
  test(`counted as ${counted}: ${JSON.stringify(text)}`, (t) => {
    const reader = reportReader();
    reader.line(text);
    t.deepEqual(
      { passed: reader.passed, failed: reader.failed, skipped: reader.skipped.length, nothing: 1 },
      { passed: 0, failed: 0, skipped: 0, nothing: 1, [counted]: 1 },
    );
  });
}

test('tests that never ran to an end count one by one', (t) => {
  const reader = reportReader();
  reader.line('  ✘ 3 tests remaining in test/a.test.ts');
  t.is(reader.failed, 3);
});
