import test from 'ava';
import type { RunSnapshot } from '../../../contracts/data-plane.ts';
import { sha256Hex } from '../../../contracts/digest.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { runPolicySchema } from '../../../contracts/run-policy.ts';
import type { RunSpending } from '../../../proxy/enforce/spending.ts';
import type { Exchange, Form, Source } from '../../../proxy/exchange.ts';
import { FailedAttempts } from '../../../proxy/identify/attempts.ts';
import { identify, type IdentifyContext } from '../../../proxy/identify/identify.ts';
import { Runs } from '../../../proxy/runs.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';

const spending = { update: () => undefined } as unknown as RunSpending;

const tokens = { one: 'sp_ag_3_one', two: 'sp_ag_3_two', jailed: 'sp_ag_1_jailed', over: 'sp_ag_1_over' };

function snapshot(run_id: keyof typeof tokens, fields: Partial<RunSnapshot> = {}): RunSnapshot {
  return {
    run_id: `run_${run_id}`, session_id: `ses_${run_id}`, short_id: run_id, agent: 'agent', state: 'Active', epoch: run_id === 'one' ? 3 : 1,
    token_sha256: sha256Hex(tokens[run_id]), channel: 'credentials', policy: runPolicySchema.parse({}), labels: {}, taint: null,
    deadline_at: 1e15, limits: {}, ...fields,
  };
}

function setUp(): { context: IdentifyContext & { problem: SallyportError | undefined }; runs: Runs; clock: TestClock } {
  const clock = testClock();
  const runs = new Runs({ clock, makeSpending: () => spending, onLive: () => undefined, onEnded: () => undefined });
  for (const run of [snapshot('one'), snapshot('two'), snapshot('jailed', { channel: 'jail' }), snapshot('over'), snapshot('over', { state: 'Done' })]) runs.apply(run);
  const context = { runs, clock, attempts: new FailedAttempts(() => clock.monotonic()), problem: undefined as SallyportError | undefined, unready: () => context.problem };
  return { context, runs, clock };
}

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const tcp: Source = { kind: 'tcp', remote: '192.0.2.7' };

function exchange(source: Source, authorization?: string, form: Form = { kind: 'absolute' }): Exchange {
  return { source, form, head: { headers: ['Host', 'x', ...authorization === undefined ? [] : ['proxy-Authorization', authorization]] } } as unknown as Exchange;
}

const outcome = (context: IdentifyContext, one: Exchange): string => {
  const identity = identify(one, context);
  return identity.kind === 'caller' ? identity.caller.run.run_id : `${identity.problem.code}${identity.recorded ? '' : ' unrecorded'}${identity.attribution === undefined ? '' : ` of ${identity.attribution.run_id}`}`;
};

const cases: readonly (readonly [title: string, exchange: Exchange, expected: string])[] = [
  ['run id and token', exchange(tcp, basic('run_one', tokens.one)), 'run_one'],
  ['the word Basic in any case', exchange(tcp, basic('run_one', tokens.one).replace('Basic', 'bAsIC')), 'run_one'],
  ['the token alone', exchange(tcp, `Bearer ${tokens.two}`), 'run_two'],
  ['nothing', exchange(tcp), 'proxy_authentication_required unrecorded'],
  ['a wrong token', exchange(tcp, basic('run_one', 'sp_ag_3_other')), 'proxy_authentication_required'],
  ['an empty token', exchange(tcp, basic('run_one', '')), 'proxy_authentication_required'],
  ['the token of another run', exchange(tcp, basic('run_one', tokens.two)), 'proxy_authentication_required'],
  ['the hash of the token', exchange(tcp, basic('run_one', sha256Hex(tokens.one))), 'proxy_authentication_required'],
  ['a token of an earlier start', exchange(tcp, basic('run_one', 'sp_ag_2_one')), 'stale_epoch'],
  ['a token that claims a later start', exchange(tcp, basic('run_one', 'sp_ag_4_one')), 'proxy_authentication_required'],
  ['a run that does not exist', exchange(tcp, basic('run_none', tokens.one)), 'unknown_run'],
  ['a token that no run has', exchange(tcp, 'Bearer sp_ag_1_none'), 'proxy_authentication_required'],
  ['a run that has ended', exchange(tcp, basic('run_over', tokens.over)), 'run_ended of run_over'],
  ['a run that has ended, with a wrong token', exchange(tcp, basic('run_over', 'x')), 'unknown_run'],
  ['a jailed run\'s token from outside its jail', exchange(tcp, basic('run_jailed', tokens.jailed)), 'proxy_authentication_required'],
  ['the same as Bearer', exchange(tcp, `Bearer ${tokens.jailed}`), 'proxy_authentication_required'],
  ['another scheme', exchange(tcp, 'Digest x'), 'proxy_authentication_required'],
  ['base64 that is none', exchange(tcp, 'Basic !!!'), 'proxy_authentication_required'],
  ['credentials without a colon', exchange(tcp, `Basic ${Buffer.from('run_one').toString('base64')}`), 'proxy_authentication_required'],
  ['credentials of more than 512 characters', exchange(tcp, basic('run_one', tokens.one.padEnd(600, 'x'))), 'proxy_authentication_required'],
  ['a run\'s own listener', exchange({ kind: 'run', run_id: 'run_jailed' }), 'run_jailed'],
  ['a run\'s own listener with another run\'s credentials', exchange({ kind: 'run', run_id: 'run_jailed' }, basic('run_one', tokens.one)), 'run_jailed'],
  ['the listener of a run that has ended', exchange({ kind: 'run', run_id: 'run_over' }), 'run_ended of run_over'],
  ['the listener of a run that nobody knows', exchange({ kind: 'run', run_id: 'run_none' }), 'unknown_run'],
];

for (const [title, one, expected] of cases) {
  test(`${title}: ${expected}`, (t) => {
    t.is(outcome(setUp().context, one), expected);
  });
}

test('two fields with credentials are refused: which one counts would be chance', (t) => {
  const { context } = setUp();
  const one = exchange(tcp, basic('run_one', tokens.one));
  const headers = [...one.head.headers, 'Proxy-Authorization', basic('run_two', tokens.two)];
  t.is(outcome(context, { ...one, head: { ...one.head, headers } }), 'proxy_authentication_required');
});

test('failures are limited by address, and whoever has the right credentials is not held up by them', (t) => {
  const { context, clock } = setUp();
  const wrong = exchange(tcp, basic('run_one', 'wrong'));
  const outcomes = Array.from({ length: 30 }, () => outcome(context, wrong));
  t.deepEqual(outcomes.slice(0, 20), Array.from({ length: 20 }, () => 'proxy_authentication_required'));
  t.deepEqual(outcomes.slice(20), Array.from({ length: 10 }, () => 'rate_limited unrecorded'));
  t.is(outcome(context, exchange(tcp, basic('run_one', tokens.one))), 'run_one');
  t.is(outcome(context, exchange({ kind: 'tcp', remote: '192.0.2.8' }, basic('run_one', 'wrong'))), 'proxy_authentication_required');
  clock.advance(1000);
  t.is(outcome(context, wrong), 'proxy_authentication_required');
  t.is(outcome(context, wrong), 'rate_limited unrecorded');
});

test('what is inside a tunnel belongs to who opened it, as long as that run goes on in the same epoch', (t) => {
  const { context, runs } = setUp();
  const identity = identify(exchange(tcp, basic('run_one', tokens.one)), context);
  if (identity.kind !== 'caller') return t.fail();
  const inside = exchange(tcp, undefined, { kind: 'inside', authority: 'site.test:80', caller: identity.caller, tls: undefined });
  t.is(outcome(context, inside), 'run_one');
  runs.apply(snapshot('one', { epoch: 4 }));
  t.is(outcome(context, inside), 'stale_epoch of run_one');
  runs.apply(snapshot('one', { epoch: 4, state: 'Failed' }));
  t.is(outcome(context, inside), 'run_ended of run_one');
});

test('a run that cannot send at present, or a proxy that cannot decide, says why', (t) => {
  const { context, runs, clock } = setUp();
  const one = exchange(tcp, basic('run_one', tokens.one));
  runs.apply(snapshot('one', { state: 'PausedApproval' }));
  t.is(outcome(context, one), 'run_paused of run_one');
  runs.apply(snapshot('one', { state: 'Queued' }));
  t.is(outcome(context, one), 'run_paused of run_one');
  runs.apply(snapshot('one', { deadline_at: clock.now() + 10 }));
  t.is(outcome(context, one), 'run_one');
  clock.advance(10);
  t.is(outcome(context, one), 'budget_exhausted of run_one');
  context.problem = new SallyportError('no_policy', 'none');
  t.is(outcome(context, one), 'no_policy of run_one');
  // Such as just after a start, when no run is known yet: it must be worth trying again.
  for (const unknown of ['run_new', 'run_one']) for (let times = 0; times < 40; times++) t.is(outcome(context, exchange(tcp, basic(unknown, 'x'))), 'no_policy unrecorded');
});

test('a new token takes the place of the old one', (t) => {
  const { context, runs } = setUp();
  runs.apply(snapshot('one', { epoch: 4, token_sha256: sha256Hex('sp_ag_4_new') }));
  t.is(outcome(context, exchange(tcp, basic('run_one', tokens.one))), 'stale_epoch');
  t.is(outcome(context, exchange(tcp, `Bearer ${tokens.one}`)), 'proxy_authentication_required');
  t.is(outcome(context, exchange(tcp, 'Bearer sp_ag_4_new')), 'run_one');
});
