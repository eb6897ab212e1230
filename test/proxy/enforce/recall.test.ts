import test from 'ava';
import { setImmediate as turn } from 'node:timers/promises';
import type { Spent } from '../../../contracts/budget.ts';
import type { Draw, DrawAnswer, Return } from '../../../contracts/data-plane.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { RunSpending } from '../../../proxy/enforce/spending.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { until } from '../../helpers/wait.ts';

type Answer = Partial<Omit<DrawAnswer, 'balances'>>;

interface Setup {
  readonly spending: RunSpending;
  readonly clock: TestClock;
  readonly draws: Draw[];
  readonly returns: Return[];
  readonly late: Spent[];
  /** The next draws' answers; without one a draw is not answered. */
  readonly answers: (Answer | Promise<Answer>)[];
  refuseReturns: SallyportError | undefined;
}

function setUp(...answers: (Answer | Promise<Answer>)[]): Setup {
  const clock = testClock();
  const setup: Setup = {
    clock, answers, draws: [], returns: [], late: [], refuseReturns: undefined,
    spending: new RunSpending({
      run_id: 'run_1', journal_id: 'jnl_1', clock, late: (units) => setup.late.push(units),
      async draw(draw) {
        setup.draws.push(draw);
        const answer = answers.shift() ?? new Promise<never>(() => { /* Never answered. */ });
        return { granted: {}, exhausted: [], balances: { requests: { limit: 10, used: 0, reserved: 10, remaining: 0 } }, ...await answer };
      },
      async giveUp(answer) {
        setup.returns.push(answer);
        await turn();
        if (setup.refuseReturns !== undefined) throw setup.refuseReturns;
      },
    }, 1),
  };
  return setup;
}

const codeOf = (problem: SallyportError | undefined): string | undefined => problem?.code;
const first = { granted: { requests: 5, bytes_in: 100, bytes_out: 100 } };

test('a recall gets what is idle of its meters, and nothing that is spent or of another meter', async (t) => {
  const { spending, returns } = setUp(first);
  t.is(await spending.reserveRequest(), undefined);
  spending.recall({ requests: 3 });
  await until('the return', () => returns.length === 1);
  t.deepEqual(returns, [{ journal_id: 'jnl_1', run_id: 'run_1', returned: { requests: 4 }, recalls: { requests: 3 } }]);
  t.is(spending.take('bytes_in', 1000), 100);
});

test('a recall is answered also where there is nothing to give, and once, however often it is told', async (t) => {
  const { spending, returns } = setUp();
  spending.recall({ requests: 1 });
  spending.recall({ requests: 1 });
  await until('the return', () => returns.length === 1 && !spending.unsettled);
  // One that was answered takes no more: what came meanwhile would be lost.
  spending.giveBack('requests', 2);
  spending.recall({ requests: 1 });
  await turn();
  await turn();
  t.deepEqual(returns.map(({ returned }) => returned), [{}]);
  spending.recall({ requests: 2 });
  await until('the next', () => returns.length === 2);
  t.deepEqual(returns[1]?.returned, { requests: 2 });
});

test('a recall that comes while a draw is under way waits for its units: whoever waits has them first, and the rest goes', async (t) => {
  const gate = Promise.withResolvers<Answer>();
  const { spending, returns } = setUp(gate.promise);
  const waiting = [spending.reserveRequest(), spending.reserveRequest()];
  const bytes = spending.more('bytes_in', 30).then(() => spending.take('bytes_in', 30));
  spending.recall({ requests: 1, bytes_in: 1 });
  await turn();
  t.deepEqual(returns, []);
  gate.resolve(first);
  t.deepEqual(await Promise.all(waiting), [undefined, undefined]);
  t.is(await bytes, 30);
  await until('the return', () => returns.length === 1);
  t.deepEqual(returns[0]?.returned, { requests: 3, bytes_in: 70 });
});

test('after a recall one\'s own requests draw again, and nothing is drawn ahead of them', async (t) => {
  const { spending, returns, draws } = setUp(first, { granted: { requests: 1 } });
  await spending.reserveRequest();
  spending.recall({ requests: 1 });
  await until('the return', () => returns.length === 1);
  await turn();
  t.is(draws.length, 1);
  t.is(await spending.reserveRequest(), undefined);
  t.like(draws[1], { wanted: { requests: 1 }, waiting: { requests: 1 } });
});

test('a lost answer to a return is asked for again, and the units are not spent meanwhile', async (t) => {
  const setup = setUp(first);
  const { spending, returns, clock } = setup;
  await spending.reserveRequest();
  setup.refuseReturns = new SallyportError('control_plane_unreachable', 'lost');
  spending.recall({ requests: 1 });
  await until('the failure', () => returns.length === 1 && clock.waiting === 1);
  t.true(spending.unsettled);
  t.is(spending.take('requests', 10), 0);
  setup.refuseReturns = undefined;
  clock.advance(100);
  await until('the answer', () => returns.length === 2 && !spending.unsettled);
  t.deepEqual(returns[1], returns[0]);
});

test('units whose return was refused stay in doubt, so that the journal is not closed as complete', async (t) => {
  const setup = setUp(first);
  await setup.spending.reserveRequest();
  setup.refuseReturns = new SallyportError('forbidden', 'no');
  setup.spending.recall({ requests: 1 });
  await until('the return', () => setup.returns.length === 1);
  await turn();
  await turn();
  t.true(setup.spending.unsettled);
  t.is(setup.spending.take('requests', 1), 0);
});

test('while others are asked, whoever waits goes on waiting and draws again after growing pauses', async (t) => {
  const recalling: Answer = { granted: { requests: 0 }, recalling: ['requests'] };
  const { spending, draws, clock } = setUp({ granted: { requests: 1 } }, recalling, recalling, { granted: { requests: 1 } }, { granted: { requests: 0 }, exhausted: ['requests'] });
  await spending.reserveRequest();
  const waiting = [spending.reserveRequest(), spending.reserveRequest()];
  for (const [index, pause] of [20, 40].entries()) {
    await until('the draw', () => draws.length === index + 2);
    await turn();
    clock.advance(pause - 1);
    t.is(draws.length, index + 2);
    clock.advance(1);
  }
  await until('the draw that is answered', () => draws.length >= 4);
  t.deepEqual((await Promise.all(waiting)).map(codeOf), [undefined, 'budget_exhausted']);
  t.deepEqual(draws.slice(1).map((draw) => draw.waiting?.requests), [1, 2, 2]);
});

test('a budget of which nothing could be drawn ahead is not held for used up', async (t) => {
  const { spending, draws } = setUp({ granted: { requests: 4, bytes_in: 0 }, exhausted: ['bytes_in'] }, { granted: { bytes_in: 10 } });
  await spending.reserveRequest();
  t.is(await spending.more('bytes_in', 10), undefined);
  t.like(draws[1], { waiting: { bytes_in: 10 } });
});

test('a wait that never ends while others are asked is a budget that is used up; a control plane that is silent is not', async (t) => {
  const { spending, draws, clock, answers } = setUp({ granted: { requests: 1 } });
  await spending.reserveRequest();
  for (let count = 0; count < 200; count++) answers.push({ granted: { requests: 0 }, recalling: ['requests'] });
  const waiting = spending.reserveRequest();
  for (let passed = 0; passed < 5_000; passed += 20) {
    await turn();
    clock.advance(20);
  }
  t.is(codeOf(await waiting), 'budget_exhausted');
  t.true(draws.length < 40, `${draws.length} draws in 5 s`);
});

test('the end of a run leaves no recall to answer: all that is held goes back with it', async (t) => {
  const { spending, returns } = setUp(first);
  await spending.reserveRequest();
  spending.recall({ requests: 1 });
  spending.close(new SallyportError('run_ended', 'over'));
  t.deepEqual(spending.takeAll(), { requests: 4, bytes_in: 100, bytes_out: 100 });
  await turn();
  t.deepEqual(returns, []);
});
