import test, { type ExecutionContext } from 'ava';
import type { Acknowledgement, RunSnapshot, StreamMessage } from '../../../contracts/data-plane.ts';
import { runPolicySchema } from '../../../contracts/run-policy.ts';
import { Synchroniser } from '../../../proxy/control-plane/synchroniser.ts';
import type { RunSpending } from '../../../proxy/enforce/spending.ts';
import { Runs } from '../../../proxy/runs.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { until } from '../../helpers/wait.ts';

interface Setup {
  readonly clock: TestClock;
  readonly runs: Runs;
  readonly synchroniser: Synchroniser;
  readonly acknowledged: Acknowledgement[];
  readonly ended: string[];
  reconnected: number;
  reincarnated: number;
  /** Settles what loads the policy. */
  loaded(): void;
  say(...messages: readonly StreamMessage[]): void;
}

const maxAge = 1000;
const hello = (incarnation: string = 'inc-1'): StreamMessage => ({ type: 'hello', protocol: 1, incarnation, snapshot_max_age_ms: maxAge, revision: 'r1' });
const synced = (version: number): StreamMessage => ({ type: 'synced', version });

function run(name: string, version: number): StreamMessage {
  const snapshot: RunSnapshot = {
    run_id: name, session_id: 'ses', short_id: name, agent: 'agent', state: 'Active', epoch: 1, token_sha256: name, channel: 'credentials',
    policy: runPolicySchema.parse({}), labels: {}, taint: null, deadline_at: 1e15, limits: {},
  };
  return { type: 'run', version, run: snapshot };
}

function setUp(t: ExecutionContext): Setup {
  const clock = testClock();
  const ended: string[] = [];
  const acknowledged: Acknowledgement[] = [];
  let revision = '';
  const policy = Promise.withResolvers<void>();
  const runs = new Runs({ clock, makeSpending: () => ({ update: () => undefined }) as unknown as RunSpending, onLive: () => undefined, onEnded: ({ run_id }) => ended.push(run_id) });
  const setup: Setup = {
    clock, runs, acknowledged, ended, reconnected: 0, reincarnated: 0,
    synchroniser: new Synchroniser({
      clock, proxy_id: 'prx', runs,
      loadPolicy: async (wanted) => { await policy.promise; revision = wanted; },
      revision: () => revision,
      acknowledge: async (one) => { acknowledged.push(one); },
      sealed: async () => undefined,
      reconnected: () => { setup.reconnected++; },
      reincarnated: () => { setup.reincarnated++; },
    }),
    loaded: () => policy.resolve(),
    say: (...messages) => { for (const message of messages) setup.synchroniser.handle(message); },
  };
  t.teardown(() => setup.synchroniser.end());
  return setup;
}

test('nothing is decided before all runs were named once: who is not known yet may only be not named yet', (t) => {
  const { synchroniser, say } = setUp(t);
  const steps = [undefined, hello(), run('one', 1), synced(1)].map((message) => {
    if (message !== undefined) say(message);
    return synchroniser.expired()?.code;
  });
  t.deepEqual(steps, ['snapshot_expired', 'snapshot_expired', 'snapshot_expired', undefined]);
});

test('what may come again says when', (t) => {
  t.is(setUp(t).synchroniser.expired()?.extras.retry_after, 1);
});

test('a stream that is opened again decides all the while, and only then ends the runs that it does not name', (t) => {
  const { synchroniser, runs, ended, say } = setUp(t);
  say(hello(), run('one', 1), run('two', 2), synced(2), hello(), run('two', 3));
  t.is(synchroniser.expired(), undefined);
  t.deepEqual(ended, []);
  say(synced(3));
  t.deepEqual(ended, ['one']);
  t.truthy(runs.get('two'));
});

test('silence for longer than a snapshot may be old ends it', (t) => {
  const { synchroniser, clock, say } = setUp(t);
  say(hello(), synced(0));
  clock.advance(maxAge);
  t.is(synchroniser.expired(), undefined);
  clock.advance(1);
  t.is(synchroniser.expired()?.code, 'snapshot_expired');
  say({ type: 'heartbeat', at: 0 });
  t.is(synchroniser.expired(), undefined);
});

test('a version is acknowledged once its policy is in force, and only a whole snapshot is', async (t) => {
  const setup = setUp(t);
  setup.say(hello(), run('one', 4));
  setup.loaded();
  setup.say(synced(5));
  await until('the acknowledgement', () => setup.acknowledged.length > 0);
  await setup.synchroniser.ready;
  t.deepEqual(setup.acknowledged, [{ proxy_id: 'prx', version: 5, revision: 'r1' }]);
});

test('each whole snapshot says that the control plane is back, and another incarnation that its database is a new one', (t) => {
  const setup = setUp(t);
  setup.say(hello(), synced(0), hello(), synced(0));
  t.deepEqual([setup.reconnected, setup.reincarnated], [2, 0]);
  setup.say(hello('inc-2'));
  t.is(setup.reincarnated, 1);
});
