import test from 'ava';
import { mostAgents, mostPresent } from '../../../contracts/agent-limits.ts';
import type { AgentReport } from '../../../contracts/agents.ts';
import { outcomeOf, planFor, type Agent, type Outcome } from '../../../control-plane/agents/rules.ts';

const command = { argv: ['true'], env: {}, work: '/srv', give_work: false };
const agent = (run_id: string, more: Partial<Agent> = {}): Agent => ({ run_id, epoch: 1, command, status: 'wanted', host_id: undefined, ...more });
const names = (agents: readonly Agent[]): readonly string[] => agents.map(({ run_id }) => run_id);

test('exit code 0 without a reason is success; all else fails the run, and says why', (t) => {
  const key = { host_id: 'host', run_id: 'run', epoch: 1 };
  const table: readonly [Extract<AgentReport, { type: 'exited' | 'refused' }>, Outcome][] = [
    [{ type: 'exited', ...key, exit_code: 0 }, { to: 'Done', exit_code: 0 }],
    [{ type: 'exited', ...key, exit_code: 0, reason: 'the jail used more memory than it may' }, { to: 'Failed', exit_code: 0, reason: 'the jail used more memory than it may' }],
    [{ type: 'exited', ...key, exit_code: 3 }, { to: 'Failed', exit_code: 3, reason: 'the agent ended with exit code 3' }],
    [{ type: 'exited', ...key }, { to: 'Failed', exit_code: undefined, reason: 'the agent was killed' }],
    [{ type: 'refused', ...key, code: 'jail_unavailable', detail: 'no.' }, { to: 'Failed', reason: 'the agent could not be started: no.' }],
  ];
  for (const [report, outcome] of table) t.deepEqual(outcomeOf(report), outcome);
  t.is(outcomeOf({ type: 'refused', ...key, code: 'x', detail: 'y'.repeat(1000) }).reason?.length, 1000);
});

test('a host is told to start what is wanted of it or of anybody, and to stop what is over', (t) => {
  const mine = { host_id: 'mine' };
  const table: readonly [what: string, agents: readonly Agent[], known: readonly string[], plan: { stop?: readonly string[]; lost?: readonly string[]; start?: readonly string[] }][] = [
    ['nothing', [], [], {}],
    ['a free one', [agent('a')], [], { start: ['a'] }],
    ['one that it has claimed and never heard of', [agent('a', mine)], [], { start: ['a'] }],
    ['one that it knows', [agent('a', mine)], ['a:1'], {}],
    ['one that runs', [agent('a', { ...mine, status: 'running' })], ['a:1'], {}],
    ['one that ran and is gone', [agent('a', { ...mine, status: 'running' })], [], { lost: ['a'] }],
    ['one of another host', [agent('a', { host_id: 'other' }), agent('b', { host_id: 'other', status: 'running' })], [], {}],
    ['one that is over', [], ['a:1'], { stop: ['a:1'] }],
    ['another start of what it runs', [agent('a', { epoch: 2 })], ['a:1'], { stop: ['a:1'], start: ['a'] }],
  ];
  for (const [what, agents, known, { stop = [], lost = [], start = [] }] of table) {
    const plan = planFor('mine', agents, new Set(known));
    t.deepEqual({ stop: plan.stop, lost: names(plan.lost), start: names(plan.start) }, { stop, lost, start }, what);
  }
});

test('no host has more agents than it may, those that are ending included', (t) => {
  const running = Array.from({ length: mostAgents - 1 }, (_, index) => agent(`r${index}`, { host_id: 'mine', status: 'running' }));
  const waiting = ['a', 'b', 'c'].map((name) => agent(name));
  const known = new Set(running.map(({ run_id }) => `${run_id}:1`));
  t.deepEqual(names(planFor('mine', [...running, ...waiting], known).start), ['a']);
  t.deepEqual(planFor('mine', [...running, agent('x', { host_id: 'mine', status: 'running' }), ...waiting], new Set([...known, 'x:1'])).start, []);
  t.deepEqual(names(planFor('mine', [...running.slice(1), ...waiting], known).start), ['a', 'b'], 'one is over, so its place is free');
  t.deepEqual(planFor('mine', waiting, new Set(Array.from({ length: mostPresent }, (_, index) => `old${index}:1`))).start, [], 'so many that end are waited for');
});
