import test from 'ava';
import { tapReader } from './tap.ts';

const report = [
  'TAP version 13', 'ok 1 - a › works', 'not ok 2 - a › breaks', '  ---', '    name: AssertionError', '  ...',
  'ok 3 - b › waits # SKIP', '# a hook', '#   logged', '', '1..3', '# tests 3', '# pass 1', '# skip 1', '# fail 1', '',
];

test('the report is told line by line, and counted by its own summary', (t) => {
  const reader = tapReader();
  t.deepEqual(report.map((line) => reader.line(line)).filter((line) => line !== undefined), [
    '  ✔ a › works', '  ✘ a › breaks', '  ---', '    name: AssertionError', '  ...', '  - b › waits', '#   logged',
  ]);
  t.deepEqual(reader.counts(), { passed: 1, failed: 1 });
  t.deepEqual(reader.skipped, ['b › waits']);
});

test('a report that breaks off has no counts', (t) => {
  const reader = tapReader();
  for (const line of report.slice(0, 5)) reader.line(line);
  t.is(reader.counts(), undefined);
});
