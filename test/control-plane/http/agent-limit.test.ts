import test from 'ava';
import type { CreatedRun, RunView } from '../../../contracts/run-api.ts';
import { AgentLimit } from '../../../control-plane/http/agent-limit.ts';
import { startTestControlPlane } from '../harness.ts';
import { testClock } from '../../helpers/clock.ts';

const takeAll = (limit: AgentLimit, run_id: string, most = 1_000): number => {
  let count = 0;
  while (count < most && limit.take(run_id)) count++;
  return count;
};

test('an agent has a hundred at once, then twenty a second; others do not wait for it', (t) => {
  const clock = testClock();
  const limit = new AgentLimit(clock);
  t.is(takeAll(limit, 'run_a'), 100);
  t.is(takeAll(limit, 'run_b', 10), 10);
  clock.advance(1_000);
  t.is(takeAll(limit, 'run_a'), 20);
  for (let tenth = 0; tenth < 10; tenth++) {
    clock.advance(10);
    t.is(takeAll(limit, 'run_a'), tenth % 5 === 4 ? 1 : 0, 'asking in vain takes nothing');
  }
  clock.advance(3_600_000);
  t.is(takeAll(limit, 'run_a'), 100);
});

test('the runs remembered are bounded, and the one that asked least lately goes', (t) => {
  const limit = new AgentLimit(testClock());
  takeAll(limit, 'run_a');
  takeAll(limit, 'run_b');
  for (let run = 0; run < 9_998; run++) limit.take(`run_${run}`);
  t.false(limit.take('run_a'));
  limit.take('run_new');
  t.true(limit.take('run_b'), 'it was forgotten');
  t.false(limit.take('run_a'));
});

test('an agent that asks in a loop is told to wait; its operator is not', async (t) => {
  const plane = await startTestControlPlane(t, { clock: testClock() });
  const { run_id, agent_token } = (await plane.call<CreatedRun>('POST', '/chat/run', { body: { goal: 'test' } })).body;
  const ask = () => plane.call('GET', `/chat/run/${run_id}`, { token: agent_token });
  for (let count = 0; count < 100; count++) t.is((await ask()).status, 200);
  const refused = await ask();
  t.like(refused, { status: 429, body: { code: 'rate_limited' } });
  t.is(refused.headers['retry-after'], '1');
  t.is((await plane.call<RunView>('GET', `/chat/run/${run_id}`)).status, 200);
});
