import test from 'ava';
import * as fc from 'fast-check';
import { spendableMeters } from '../../../contracts/budget.ts';
import { balanceRowsOf, recover, settle, sumMovements, thresholdsReached, toBalances } from '../../../control-plane/budgets/rules.ts';

test('every meter that is limited or spent has a balance; one without a limit still counts', (t) => {
  t.deepEqual(balanceRowsOf({ requests: 5, steps: 3 }).toSorted((a, b) => a.meter < b.meter ? -1 : 1), [
    { meter: 'bytes_in', limit_units: null }, { meter: 'bytes_out', limit_units: null }, { meter: 'requests', limit_units: 5 }, { meter: 'steps', limit_units: 3 },
  ]);
});

test('what remains is never below zero, and unlimited is null', (t) => {
  t.deepEqual(toBalances([
    { meter: 'requests', limit_units: 10, used: 3, reserved: 2 },
    { meter: 'bytes_in', limit_units: null, used: 7, reserved: 1 },
    { meter: 'bytes_out', limit_units: 4, used: 9, reserved: 0 },
  ]), {
    requests: { limit: 10, used: 3, reserved: 2, remaining: 5 },
    bytes_in: { limit: null, used: 7, reserved: 1, remaining: null },
    bytes_out: { limit: 4, used: 9, reserved: 0, remaining: 0 },
  });
});

const units = fc.nat({ max: 1000 });
const movement = fc.record({ run_id: fc.constantFrom('r1', 'r2'), meter: fc.constantFrom(...spendableMeters), spent: units, returned: units });

test('settling never moves more out of a reservation than is outstanding, and records spending whole', (t) => {
  fc.assert(fc.property(fc.uniqueArray(movement, { selector: ({ run_id, meter }) => run_id + meter }), fc.array(units, { minLength: 6, maxLength: 6 }), (movements, held) => {
    const allowances = ['r1', 'r2'].flatMap((run_id, run) => spendableMeters.map((meter, index) => ({ run_id, meter, outstanding: held[run * 3 + index]! })));
    for (const settlement of settle(movements, allowances)) {
      const { outstanding } = allowances.find(({ run_id, meter }) => run_id === settlement.run_id && meter === settlement.meter)!;
      if (settlement.covered + settlement.released > outstanding) return false;
      if (settlement.covered !== Math.min(settlement.spent, outstanding)) return false;
    }
    return true;
  }));
  t.pass();
});

test('after a crash requests are exact; bytes of a run with an open exchange count as used, others go back', (t) => {
  const allowances = [
    { run_id: 'open', meter: 'requests', outstanding: 3 },
    { run_id: 'open', meter: 'bytes_in', outstanding: 100 },
    { run_id: 'idle', meter: 'bytes_in', outstanding: 50 },
    { run_id: 'idle', meter: 'bytes_out', outstanding: 0 },
  ] as const;
  t.deepEqual(recover(allowances, new Set(['open'])), [
    { run_id: 'open', meter: 'requests', spent: 0, returned: 3 },
    { run_id: 'open', meter: 'bytes_in', spent: 100, returned: 0 },
    { run_id: 'idle', meter: 'bytes_in', spent: 0, returned: 50 },
  ]);
});

test('movements are summed by run and meter, in one order whatever the order of the events', (t) => {
  const facts = [
    { run_id: 'b', spent: { requests: 1 } }, { run_id: 'a', spent: { bytes_out: 5, bytes_in: 7 } },
    { run_id: 'b', spent: { requests: 1 }, returned: { requests: 4 } }, { run_id: 'a', spent: { bytes_in: 0 } },
  ];
  const expected = [
    { run_id: 'a', meter: 'bytes_in', spent: 7, returned: 0 },
    { run_id: 'a', meter: 'bytes_out', spent: 5, returned: 0 },
    { run_id: 'b', meter: 'requests', spent: 2, returned: 4 },
  ];
  t.deepEqual(sumMovements(facts) as unknown, expected);
  t.deepEqual(sumMovements(facts.toReversed()) as unknown, expected);
});

test('each threshold is reached once', (t) => {
  const table: readonly [limit: number | null, before: number, after: number, reached: readonly number[]][] = [
    [10, 0, 4, []], [10, 4, 5, [50]], [10, 5, 7, []], [10, 7, 8, [80]], [10, 0, 10, [50, 80]], [10, 8, 10, []], [null, 0, 1000, []], [0, 0, 1, []], [3, 1, 2, [50]],
  ];
  for (const [limit, before, after, reached] of table) t.deepEqual(thresholdsReached(limit, before, after), reached, `${before} to ${after} of ${limit}`);
});
