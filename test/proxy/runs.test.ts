import test from 'ava';
import type { RunSnapshot } from '../../contracts/data-plane.ts';
import { runPolicySchema } from '../../contracts/run-policy.ts';
import type { RunSpending } from '../../proxy/enforce/spending.ts';
import { Runs } from '../../proxy/runs.ts';
import { testClock, type TestClock } from '../helpers/clock.ts';

const spending = { update: () => undefined } as unknown as RunSpending;

function setUp(): { runs: Runs; clock: TestClock } {
  const clock = testClock();
  return { clock, runs: new Runs({ clock, makeSpending: () => spending, onLive: () => undefined, onEnded: () => undefined }) };
}

function run(run_id: string, fields: Partial<RunSnapshot> = {}): RunSnapshot {
  return {
    run_id, session_id: 'ses', short_id: run_id, agent: 'agent', state: 'Active', epoch: 1, token_sha256: 'a'.repeat(64), channel: 'credentials',
    policy: runPolicySchema.parse({}), labels: {}, taint: null, deadline_at: 1e15, limits: {}, ...fields,
  };
}

test('permits end when their run\'s time is over, and not when the wall clock only was ahead', (t) => {
  const { runs, clock } = setUp();
  runs.apply(run('one', { deadline_at: clock.now() + 1000 }));
  const permit = runs.get('one')!.begin();
  clock.step(-500);
  clock.advance(1000);
  t.is(permit.reason, undefined);
  clock.advance(500);
  t.is(permit.reason?.code, 'budget_exhausted');
});

test('a deadline that is moved counts as moved', (t) => {
  const { runs, clock } = setUp();
  runs.apply(run('one', { deadline_at: clock.now() + 1000 }));
  const permit = runs.get('one')!.begin();
  runs.apply(run('one', { deadline_at: clock.now() + 5000 }));
  clock.advance(4999);
  t.is(permit.reason, undefined);
  clock.advance(1);
  t.truthy(permit.reason);
});

test('an ended run is idle once its permits are finished, and no timer stays behind', async (t) => {
  const { runs, clock } = setUp();
  runs.apply(run('one'));
  const one = runs.get('one')!;
  const permits = [one.begin(), one.begin()];
  runs.apply(run('one', { state: 'Cancelled' }));
  t.deepEqual(permits.map(({ reason }) => reason?.code), ['run_ended', 'run_ended']);
  let idle = false;
  const waiting = one.idle().then(() => { idle = true; });
  one.finish(permits[0]!);
  await Promise.resolve();
  t.false(idle);
  one.finish(permits[1]!);
  await waiting;
  t.is(clock.waiting, 0);
});

test('runs that have ended are remembered in a bounded number', (t) => {
  const { runs } = setUp();
  for (let index = 0; index < 10_050; index++) runs.apply(run(`run_${index}`, { state: 'Done' }));
  t.is(runs.ended('run_0'), undefined);
  t.truthy(runs.ended('run_10049'));
  t.is([...runs.all()].length, 0);
});
