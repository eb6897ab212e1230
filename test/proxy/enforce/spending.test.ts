import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { spendableMeters, type SpendableMeter, type Spent } from '../../../contracts/budget.ts';
import type { Draw, DrawAnswer } from '../../../contracts/data-plane.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { RunSpending } from '../../../proxy/enforce/spending.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { until } from '../../helpers/wait.ts';

interface Setup {
  readonly spending: RunSpending;
  readonly clock: TestClock;
  readonly draws: Draw[];
  readonly late: Spent[];
  /** Units that the control plane has given out. */
  readonly given: Record<SpendableMeter, number>;
  limits: Partial<Record<SpendableMeter, number>>;
  fail: (() => void) | undefined;
  hold: Promise<unknown> | undefined;
}

/** A control plane that gives a quarter of what is left, or what is wanted. */
function setUp(limits: Partial<Record<SpendableMeter, number>> = {}): Setup {
  const clock = testClock();
  const answers = new Map<string, DrawAnswer>();
  const setup: Setup = {
    clock, limits, draws: [], late: [], given: { requests: 0, bytes_out: 0, bytes_in: 0 }, fail: undefined, hold: undefined,
    spending: new RunSpending({
      run_id: 'run_1', journal_id: 'jnl_1', clock, late: (returned) => setup.late.push(returned), giveUp: () => Promise.resolve(),
      async draw(draw) {
        setup.draws.push(draw);
        const known = answers.get(draw.draw_id);
        const answer = known ?? give(draw);
        answers.set(draw.draw_id, answer);
        setup.fail?.();
        await setup.hold;
        return answer;
      },
    }, 1),
  };
  function give({ wanted }: Draw): DrawAnswer {
    const granted: Spent = {};
    const exhausted: SpendableMeter[] = [];
    for (const meter of spendableMeters) {
      const asked = wanted[meter];
      if (asked === undefined) continue;
      const left = (setup.limits[meter] ?? 1e9) - setup.given[meter];
      granted[meter] = Math.min(left, Math.max(asked, Math.min(64, Math.floor(left / 4))));
      setup.given[meter] += granted[meter];
      if (granted[meter] < asked) exhausted.push(meter);
    }
    const remaining = (meter: SpendableMeter): number | null => setup.limits[meter] === undefined ? null : setup.limits[meter] - setup.given[meter];
    return { granted, exhausted, balances: Object.fromEntries(spendableMeters.map((meter) => [meter, { limit: setup.limits[meter] ?? null, used: 0, reserved: 0, remaining: remaining(meter) }])) };
  }
  return setup;
}

const codeOf = (problem: SallyportError | undefined): string | undefined => problem?.code;

test('200 at once with 100 left: exactly 100 get one, the rest hear that the budget is used up', async (t) => {
  const { spending, draws, given } = setUp({ requests: 100 });
  const outcomes = await Promise.all(Array.from({ length: 200 }, async () => codeOf(await spending.reserveRequest())));
  t.is(outcomes.filter((code) => code === undefined).length, 100);
  t.is(outcomes.filter((code) => code === 'budget_exhausted').length, 100);
  t.is(given.requests, 100);
  t.true(draws.length < 10, 'they share their draws');
});

test('the last unit goes to exactly one', async (t) => {
  const { spending } = setUp({ requests: 1 });
  const outcomes = await Promise.all([spending.reserveRequest(), spending.reserveRequest(), spending.reserveRequest()]);
  t.deepEqual(outcomes.map(codeOf).toSorted(), ['budget_exhausted', 'budget_exhausted', undefined]);
});

test('the first draw asks for all meters, since the first exchange needs them', async (t) => {
  const { spending, draws } = setUp();
  t.is(await spending.reserveRequest(), undefined);
  t.is(draws.length, 1);
  t.true(spending.take('bytes_out', 10) > 0);
  t.true(spending.take('bytes_in', 10) > 0);
});

test('slices grow also where each answer takes long, as long as somebody waits for it', async (t) => {
  const setup = setUp();
  const { spending, draws, clock } = setup;
  for (let round = 0; round < 6; round++) {
    const slow = Promise.withResolvers<void>();
    setup.hold = slow.promise;
    // All that is held, and one more, which waits.
    const all: unknown[] = [];
    const before = draws.length;
    while (draws.length === before || all.at(-1) === undefined) all.push(spending.reserveRequest());
    clock.advance(1000);
    slow.resolve();
    await Promise.all(all);
  }
  t.true((draws.at(-1)!.wanted.requests ?? 0) >= 512, JSON.stringify(draws.map(({ wanted }) => wanted.requests)));
});

test('under load requests need no call: more is drawn ahead, in growing slices', async (t) => {
  const { spending, draws } = setUp();
  await spending.reserveRequest();
  let waited = 0;
  for (let index = 0; index < 5000; index++) {
    const reserving = spending.reserveRequest();
    if (reserving instanceof Promise) waited++;
    await reserving;
    if (index % 16 === 0) await new Promise((resolve) => { setImmediate(resolve); });
  }
  t.true(waited <= 2, `${waited} had to wait`);
  t.true(draws.length < 20, `${draws.length} draws`);
});

test('an agent that goes on asking does not make the control plane work', async (t) => {
  const { spending, draws, clock, limits } = setUp({ requests: 1 });
  await spending.reserveRequest();
  await spending.reserveRequest();
  const before = draws.length;
  for (let index = 0; index < 100; index++) t.is(codeOf(await spending.reserveRequest()), 'budget_exhausted');
  t.is(draws.length, before);
  // A larger budget is seen: at once when the run's snapshot says so, soon otherwise.
  limits.requests = 2;
  spending.update(1);
  t.is(await spending.reserveRequest(), undefined);
  t.is(codeOf(await spending.reserveRequest()), 'budget_exhausted');
  limits.requests = 3;
  t.is(codeOf(await spending.reserveRequest()), 'budget_exhausted');
  clock.advance(200);
  t.is(await spending.reserveRequest(), undefined);
});

test('units that are given back serve who waits', async (t) => {
  const gate = Promise.withResolvers<void>();
  const setup = setUp({ bytes_in: 10 });
  t.is(await setup.spending.more('bytes_in', 10), undefined);
  t.is(setup.spending.take('bytes_in', 10), 10);
  setup.hold = gate.promise;
  const waiting = setup.spending.more('bytes_in', 5);
  setup.spending.giveBack('bytes_in', 3);
  t.is(await waiting, undefined);
  t.is(setup.spending.take('bytes_in', 10), 3);
  gate.resolve();
});

test('a lost answer is asked for again under the same id, so its units are not lost', async (t) => {
  const setup = setUp({ requests: 10 });
  setup.fail = () => { throw new SallyportError('control_plane_unreachable', 'broken'); };
  const waiting = setup.spending.reserveRequest();
  await until('the failed draw', () => setup.clock.waiting === 2);
  setup.fail = undefined;
  setup.clock.advance(100);
  t.is(await waiting, undefined);
  t.is(new Set(setup.draws.map(({ draw_id }) => draw_id)).size, 1);
  t.is(setup.draws.length, 2);
});

test('a control plane that stays away is told apart from a budget that is used up, after a bounded wait', async (t) => {
  const setup = setUp();
  setup.fail = () => { throw new SallyportError('control_plane_unreachable', 'away'); };
  const waiting = setup.spending.reserveRequest();
  await until('the failed draw', () => setup.clock.waiting === 2);
  setup.clock.advance(5000);
  t.is(codeOf(await waiting), 'control_plane_unreachable');
  t.is(codeOf(await setup.spending.reserveRequest()), 'control_plane_unreachable', 'the next one need not wait');
  setup.fail = undefined;
  setup.spending.wake();
  await until('units again', async () => await setup.spending.reserveRequest() === undefined);
});

test('the queue of those who wait is bounded', async (t) => {
  const gate = Promise.withResolvers<void>();
  const setup = setUp({ requests: 1 });
  setup.hold = gate.promise;
  const all = Array.from({ length: 4100 }, () => Promise.resolve(setup.spending.reserveRequest()));
  const refused = await Promise.all(all.slice(4096));
  t.true(refused.every((problem) => problem?.code === 'overloaded'));
  gate.resolve();
  await Promise.all(all);
});

test('when the run ends, who waits is refused and what is held goes back; so does what comes late', async (t) => {
  const gate = Promise.withResolvers<void>();
  const setup = setUp({ requests: 100 });
  t.is(await setup.spending.reserveRequest(), undefined);
  setup.hold = gate.promise;
  while (setup.spending.take('requests', 1) === 1);
  const waiting = setup.spending.reserveRequest();
  setup.spending.close(new SallyportError('run_ended', 'over'));
  t.is(codeOf(await waiting), 'run_ended');
  const held = setup.spending.takeAll();
  gate.resolve();
  await until('what came late', () => setup.late.length > 0);
  const sum = (meter: SpendableMeter): number => (held[meter] ?? 0) + setup.late.reduce((total, spent) => total + (spent[meter] ?? 0), 0);
  t.is(sum('requests') + 25, setup.given.requests, 'the first draw gave 25, and all of them were spent');
});

async function exactness(t: ExecutionContext, limit: number, steps: readonly (readonly [number, number])[]): Promise<void> {
  const { spending, given, clock } = setUp({ bytes_out: limit });
  let spent = 0;
  await Promise.all(steps.map(async ([wanted, back]) => {
    for (let left = wanted; left > 0;) {
      const taken = spending.take('bytes_out', left);
      const returned = Math.min(back, taken);
      if (returned > 0) spending.giveBack('bytes_out', returned);
      spent += taken - returned;
      left -= taken;
      clock.advance(50);
      if (taken === 0 && await spending.more('bytes_out', left) !== undefined) return;
    }
  }));
  spending.close(new SallyportError('run_ended', 'over'));
  const held = spending.takeAll().bytes_out ?? 0;
  t.true(spent <= limit);
  t.is(spent + held, given.bytes_out, 'every unit is spent or held');
}

test('whatever is taken, given back and waited for, no unit is lost, made, or spent twice', async (t) => {
  const step = fc.tuple(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 0, max: 50 }));
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 2000 }), fc.array(step, { minLength: 1, maxLength: 20 }), async (limit, steps) => {
    await exactness(t, limit, steps);
  }), { numRuns: 100 });
});
