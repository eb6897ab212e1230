import test from 'ava';
import { defaultLimits } from '../../../contracts/budget.ts';
import { createRunSchema, type CreateRunInput } from '../../../contracts/run-api.ts';
import type { RunState } from '../../../contracts/run.ts';
import type { Principal } from '../../../control-plane/access/rules.ts';
import { absoluteDeadline, deadlineAt, legalFor, limitsOf, overdueReason, policyOf, transitionActors, viewOf, wallClockUsed, type Run } from '../../../control-plane/runs/rules.ts';

const run: Run = {
  run_id: 'run_1', session_id: 'ses_1', short_id: 'abc', goal: 'g', agent: 'agent', channel: 'jail', state: 'Active', reason: undefined, epoch: 1, token_sha256: 'ff',
  created_at: 1000, started_at: 1000, ended_at: undefined, deadline_at: 6000, absolute_deadline_at: 9000, lease_expires_at: 4000, exit_code: undefined,
  policy: { packs: [], allow: [], allow_addresses: [], resolve: [], params: {}, mode: 'enforce', intercept: false }, labels: {}, limits: { wall_clock_ms: 5000 }, version: 1,
};

const policies: readonly [what: string, input: Omit<CreateRunInput, 'goal' | 'policy'> & { readonly policy?: object }, intercept: boolean][] = [
  ['a jail without a policy', { channel: 'jail' }, true],
  ['a jail whose policy does not say', { channel: 'jail', policy: {} }, true],
  ['a jail that is not to', { channel: 'jail', policy: { intercept: false } }, false],
  ['credentials without a policy', { channel: 'credentials' }, false],
  ['no channel, and a policy that does not say', { policy: {} }, false],
  ['credentials that are to', { channel: 'credentials', policy: { intercept: true } }, true],
];
for (const [what, input, intercept] of policies) {
  test(`TLS is ${intercept ? '' : 'not '}looked into: ${what}`, (t) => {
    const policy = policyOf(createRunSchema.parse({ goal: 'g', ...input }));
    t.deepEqual(policy, { ...run.policy, intercept });
  });
}

test('limits that are not named are the defaults; only wall clock can be unlimited, when it is said', (t) => {
  t.deepEqual(limitsOf({}), defaultLimits);
  t.deepEqual(limitsOf({ budget: { requests: 0 } }), { ...defaultLimits, requests: 0 });
  const { wall_clock_ms: _, ...others } = defaultLimits;
  t.deepEqual(limitsOf({ unlimited_wall_clock: true }), others);
  t.is(limitsOf({ unlimited_wall_clock: true, budget: { wall_clock_ms: 7 } }).wall_clock_ms, 7);
});

test('a run ends at its wall clock or its deadline, whichever comes first', (t) => {
  t.is(absoluteDeadline({}, 5), 5 + 24 * 3600 * 1000);
  t.is(absoluteDeadline({ deadline_ms: 1000 }, 5), 1005);
  t.is(deadlineAt(9000, { wall_clock_ms: 5000 }, 1000), 6000);
  t.is(deadlineAt(4000, { wall_clock_ms: 5000 }, 1000), 4000);
  t.is(deadlineAt(9000, {}, 1000), 9000);
});

test('the system fails a run when its time is over or its launcher is lost', (t) => {
  const table: readonly [string, Partial<Run>, number, boolean, string | undefined][] = [
    ['in time', {}, 3999, true, undefined],
    ['lease', {}, 4000, true, 'launcher lost'],
    ['lease of a run without jail', { channel: 'credentials' }, 4000, true, undefined],
    ['lease that nobody could renew', {}, 4000, false, undefined],
    ['wall clock', {}, 6000, true, 'wall clock budget is used up'],
    ['deadline', { channel: 'credentials', deadline_at: 9000 }, 9000, true, 'deadline has passed'],
    ['queued, lease irrelevant', { state: 'Queued', deadline_at: 9000 }, 8000, true, undefined],
    ['queued past its deadline', { state: 'Queued' }, 9000, true, 'deadline has passed'],
    ['over', { state: 'Done' }, 99_000, true, undefined],
  ];
  for (const [what, change, now, leases, reason] of table) t.is(overdueReason({ ...run, ...change }, now, leases), reason, what);
});

test('who may ask for what', (t) => {
  const local: Principal = { kind: 'operator', id: 'local', local: true };
  const remote: Principal = { kind: 'operator', id: 'key_1', local: false };
  const own: Principal = { kind: 'agent', id: 'run_1', run_id: 'run_1' };
  const other: Principal = { kind: 'agent', id: 'run_2', run_id: 'run_2' };
  const table: readonly [string, Principal, Partial<Run>, readonly RunState[]][] = [
    ['the launcher of a jailed run', local, {}, ['Cancelled', 'Done', 'Failed']],
    ['the local operator of a run without jail', local, { channel: 'credentials' }, ['Cancelled']],
    ['an operator elsewhere', remote, {}, ['Cancelled']],
    ['the agent itself', own, {}, ['Done', 'Failed']],
    ['another agent', other, {}, []],
    ['a proxy', { kind: 'proxy', id: 'proxy' }, {}, []],
    ['an operator, of a queued run', remote, { state: 'Queued' }, ['Cancelled']],
    ['an agent, of a queued run', own, { state: 'Queued' }, []],
    ...(['Done', 'Failed', 'Cancelled'] as const).map((state) => [`anybody, of a run that is ${state}`, local, { state }, []] as [string, Principal, Partial<Run>, readonly RunState[]]),
  ];
  for (const [what, principal, change, legal] of table) {
    const subject = { ...run, ...change };
    t.deepEqual(legalFor(subject.state, transitionActors(principal, subject)), legal, what);
  }
});

test('active time is never told as more than its limit', (t) => {
  t.is(wallClockUsed({ ...run, started_at: undefined }, 9000), 0);
  t.is(wallClockUsed(run, 3000), 2000);
  t.is(wallClockUsed({ ...run, ended_at: 6100 }, 9000), 5000);
  t.is(wallClockUsed({ ...run, ended_at: 6100, limits: {} }, 9000), 5100);
  t.is(wallClockUsed(run, 500), 0, 'a clock that was set back');
  t.deepEqual(viewOf({ ...run, limits: {} }, {}, 2000).budget.wall_clock_ms, { limit: null, used: 1000, reserved: 0, remaining: null });
});
