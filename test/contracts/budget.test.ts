import test from 'ava';
import * as fc from 'fast-check';
import { amountsSchema, defaultLimits, meters, meterSchema, spendableMeters, spentOf, spentSchema, type Meter } from '../../contracts/budget.ts';

test('spendable meters are meters', (t) => {
  for (const meter of spendableMeters) t.true(meterSchema.safeParse(meter).success);
  t.is(new Set(meters).size, meters.length);
});

test('every meter has a default limit that is an amount', (t) => {
  t.deepEqual(Object.keys(defaultLimits).toSorted(), [...meters].toSorted());
  t.deepEqual(amountsSchema.parse(defaultLimits), defaultLimits);
});

test('amounts are whole numbers that arithmetic keeps exact', (t) => {
  fc.assert(fc.property(fc.constantFrom(...meters), fc.maxSafeNat(), (meter: Meter, units) => t.deepEqual(amountsSchema.parse({ [meter]: units }), { [meter]: units })));
  for (const units of [-1, 0.5, 2 ** 53, Number.NaN, Infinity, '1', null]) t.false(amountsSchema.safeParse({ requests: units }).success, String(units));
  t.deepEqual(amountsSchema.parse({}), {});
  t.deepEqual(amountsSchema.parse({ requests: 0 }), { requests: 0 });
});

test('what is no meter, or none that a proxy spends, is refused', (t) => {
  t.false(amountsSchema.safeParse({ request: 1 }).success);
  t.false(spentSchema.safeParse({ wall_clock_ms: 1 }).success);
  t.false(spentSchema.safeParse({ requests: -1 }).success);
  t.true(spentSchema.safeParse({ requests: 1, bytes_out: 2, bytes_in: 3 }).success);
});

test('units read by hand are those of the schema', (t) => {
  const anything = fc.oneof(
    fc.dictionary(fc.constantFrom(...meters, 'x', 'constructor'), fc.oneof(fc.maxSafeNat(), fc.constantFrom<unknown>(-1, 0.5, 2 ** 53, '1', null, {}, undefined))),
    fc.jsonValue({ maxDepth: 1 }), fc.constantFrom<unknown>(undefined, null, [], [1], 'requests'),
  );
  fc.assert(fc.property(anything, (value) => {
    const parsed = spentSchema.safeParse(value);
    t.deepEqual(spentOf(value), parsed.success ? parsed.data : undefined);
  }), { numRuns: 1_000 });
});
