import test from 'ava';
import type { Acknowledgement, RunSnapshot } from '../../../contracts/data-plane.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { runPolicySchema } from '../../../contracts/run-policy.ts';
import { Synchroniser } from '../../../proxy/control-plane/synchroniser.ts';
import type { RunSpending } from '../../../proxy/enforce/spending.ts';
import { Runs } from '../../../proxy/runs.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { until } from '../../helpers/wait.ts';

interface Setup {
  readonly synchroniser: Synchroniser;
  readonly runs: Runs;
  readonly clock: TestClock;
  readonly acknowledged: Acknowledgement[];
  readonly loaded: string[];
  readonly happened: string[];
  loading: Promise<void>;
  listening: Promise<void>;
  acknowledging: (() => Promise<void>) | undefined;
}

function setUp(t: { teardown(fn: () => void): void }): Setup {
  const clock = testClock();
  const spending = {
    update: () => undefined,
    recall: (recalls: object) => setup.happened.push(`recall ${JSON.stringify(recalls)}`),
  } as unknown as RunSpending;
  let revision = '';
  const setup = { clock, acknowledged: [], loaded: [], happened: [], loading: Promise.resolve(), listening: Promise.resolve(), acknowledging: undefined } as unknown as { -readonly [K in keyof Setup]: Setup[K] };
  setup.runs = new Runs({
    clock, makeSpending: () => spending, onEnded: ({ run_id }) => setup.happened.push(`ended ${run_id}`),
    onLive: ({ run_id }) => {
      setup.happened.push(`live ${run_id}`);
      setup.synchroniser.awaits(setup.listening);
    },
  });
  setup.synchroniser = new Synchroniser({
    clock, proxy_id: 'prx_1', runs: setup.runs,
    async loadPolicy(wanted) {
      setup.loaded.push(wanted);
      await setup.loading;
      revision = wanted;
    },
    revision: () => revision,
    async acknowledge(acknowledgement) {
      await setup.acknowledging?.();
      setup.acknowledged.push(acknowledgement);
    },
    sealed: async (journal, through) => { setup.happened.push(`sealed ${journal} ${through}`); },
    reconnected: () => setup.happened.push('reconnected'),
    reincarnated: () => setup.happened.push('reincarnated'),
  });
  t.teardown(() => setup.synchroniser.end());
  return setup;
}

function run(run_id: string, fields: Partial<RunSnapshot> = {}): RunSnapshot {
  return {
    run_id, session_id: 'ses', short_id: run_id, agent: 'agent', state: 'Active', epoch: 1, token_sha256: 'a'.repeat(64), channel: 'credentials',
    policy: runPolicySchema.parse({}), labels: {}, taint: null, deadline_at: 1e15, limits: {}, ...fields,
  };
}

const hello = (incarnation: string = 'i', revision: string = 'r1') => ({ type: 'hello', protocol: 1, incarnation, snapshot_max_age_ms: 1000, revision }) as const;

test('a snapshot is acknowledged once it is whole, and once its policy is in force', async (t) => {
  const gate = Promise.withResolvers<void>();
  const setup = setUp(t);
  setup.loading = gate.promise;
  setup.synchroniser.handle(hello());
  setup.synchroniser.handle({ type: 'run', version: 7, run: run('one') });
  setup.synchroniser.handle({ type: 'synced', version: 9 });
  await new Promise((resolve) => { setImmediate(resolve); });
  t.deepEqual(setup.acknowledged, []);
  gate.resolve();
  await setup.synchroniser.ready;
  await until('the acknowledgement', () => setup.acknowledged.length === 1);
  t.deepEqual(setup.acknowledged, [{ proxy_id: 'prx_1', version: 9, revision: 'r1' }]);
});

test('a new run is acknowledged only when its listener can be reached', async (t) => {
  const gate = Promise.withResolvers<void>();
  const setup = setUp(t);
  setup.synchroniser.handle(hello());
  setup.synchroniser.handle({ type: 'synced', version: 1 });
  await until('the first acknowledgement', () => setup.acknowledged.length === 1);
  setup.listening = gate.promise;
  setup.synchroniser.handle({ type: 'run', version: 2, run: run('one') });
  await new Promise((resolve) => { setImmediate(resolve); });
  t.is(setup.acknowledged.length, 1);
  gate.resolve();
  await until('the second', () => setup.acknowledged.length === 2);
  t.is(setup.acknowledged[1]?.version, 2);
});

test('an acknowledgement that fails is sent again, as of the newest version', async (t) => {
  const setup = setUp(t);
  setup.acknowledging = () => Promise.reject(new SallyportError('control_plane_unreachable', 'away'));
  setup.synchroniser.handle(hello());
  setup.synchroniser.handle({ type: 'synced', version: 1 });
  await until('the pause', () => setup.clock.waiting === 2);
  setup.synchroniser.handle({ type: 'run', version: 4, run: run('one') });
  setup.acknowledging = undefined;
  setup.clock.advance(250);
  await until('the acknowledgement', () => setup.acknowledged.length > 0);
  t.deepEqual(setup.acknowledged.map(({ version }) => version), [4]);
});

test('runs that a new snapshot does not name are over; those it names go on', (t) => {
  const setup = setUp(t);
  setup.synchroniser.handle(hello());
  for (const id of ['one', 'two']) setup.synchroniser.handle({ type: 'run', version: 1, run: run(id) });
  setup.synchroniser.handle({ type: 'synced', version: 1 });
  setup.synchroniser.handle(hello());
  setup.synchroniser.handle({ type: 'run', version: 2, run: run('two') });
  t.truthy(setup.runs.get('one'), 'not before the snapshot is whole');
  setup.synchroniser.handle({ type: 'synced', version: 2 });
  t.is(setup.runs.get('one'), undefined);
  t.truthy(setup.runs.ended('one'));
  t.truthy(setup.runs.get('two'));
  t.deepEqual(setup.happened, ['live one', 'live two', 'reconnected', 'ended one', 'reconnected']);
});

test('another incarnation of the database voids what was drawn from the one before', (t) => {
  const setup = setUp(t);
  for (const incarnation of ['a', 'a', 'b']) {
    setup.synchroniser.handle(hello(incarnation));
    setup.synchroniser.handle({ type: 'synced', version: 1 });
  }
  t.is(setup.happened.filter((what) => what === 'reincarnated').length, 1);
});

test('a new revision is loaded, one that is in force is not', async (t) => {
  const setup = setUp(t);
  setup.synchroniser.handle(hello());
  setup.synchroniser.handle({ type: 'synced', version: 1 });
  await setup.synchroniser.ready;
  setup.synchroniser.handle({ type: 'bundle', version: 2, revision: 'r1' });
  setup.synchroniser.handle({ type: 'bundle', version: 3, revision: 'r2' });
  await until('the acknowledgement', () => setup.acknowledged.at(-1)?.version === 3);
  t.deepEqual(setup.loaded, ['r1', 'r2']);
  t.is(setup.acknowledged.at(-1)?.revision, 'r2');
});

test('nothing may be decided before anything was heard, nor after too long without a word', async (t) => {
  const setup = setUp(t);
  t.is(setup.synchroniser.expired()?.code, 'snapshot_expired');
  setup.synchroniser.handle(hello());
  setup.synchroniser.handle({ type: 'run', version: 1, run: run('one') });
  setup.synchroniser.handle({ type: 'synced', version: 1 });
  const permit = setup.runs.get('one')!.begin();
  setup.clock.advance(900);
  setup.synchroniser.handle({ type: 'heartbeat', at: 1 });
  setup.clock.advance(1000);
  t.is(setup.synchroniser.expired(), undefined);
  t.is(permit.reason, undefined);
  setup.clock.advance(5);
  t.is(setup.synchroniser.expired()?.code, 'snapshot_expired');
  t.is(permit.reason?.code, 'snapshot_expired');
  setup.synchroniser.handle({ type: 'heartbeat', at: 2 });
  t.is(setup.synchroniser.expired(), undefined);
  const next = setup.runs.get('one')!.begin();
  setup.clock.advance(2005);
  t.truthy(next.reason, 'it is watched again');
});

test('what a seal covers is told', (t) => {
  const setup = setUp(t);
  setup.synchroniser.handle(hello());
  setup.synchroniser.handle({ type: 'sealed', journal_id: 'jnl_1', through: 4 });
  t.deepEqual(setup.happened, ['sealed jnl_1 4']);
});

test('a recall goes to what the run holds; of a run that is not known there is nothing to give', (t) => {
  const setup = setUp(t);
  setup.synchroniser.handle(hello());
  setup.synchroniser.handle({ type: 'run', version: 1, run: run('one') });
  for (const run_id of ['one', 'two']) setup.synchroniser.handle({ type: 'recall', run_id, recalls: { requests: 3 } });
  t.deepEqual(setup.happened, ['live one', 'recall {"requests":3}']);
});

test('a snapshot that has expired is not fresh before it has been told anew as a whole: a run cancelled meanwhile gets no moment', (t) => {
  const setup = setUp(t);
  setup.synchroniser.handle(hello());
  setup.synchroniser.handle({ type: 'run', version: 1, run: run('cancelled') });
  setup.synchroniser.handle({ type: 'synced', version: 1 });
  setup.clock.advance(1005);
  setup.synchroniser.handle(hello());
  t.is(setup.synchroniser.expired()?.code, 'snapshot_expired');
  setup.synchroniser.handle({ type: 'run', version: 2, run: run('other') });
  t.is(setup.synchroniser.expired()?.code, 'snapshot_expired');
  setup.synchroniser.handle({ type: 'synced', version: 2 });
  t.is(setup.synchroniser.expired(), undefined);
  t.is(setup.runs.get('cancelled'), undefined);
  const permit = setup.runs.get('other')!.begin();
  setup.clock.advance(1005);
  t.is(permit.reason?.code, 'snapshot_expired', 'it is watched again');
});
