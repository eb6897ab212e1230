import * as fc from 'fast-check';
import { setImmediate as turn } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { Draw, Recalls } from '../../../contracts/data-plane.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { newId } from '../../../contracts/ids.ts';
import { ingest } from '../../../control-plane/audit/ingest.ts';
import { balancesOf, openRecalls, takeReturn } from '../../../control-plane/budgets/commands.ts';
import { makeChange } from '../../../control-plane/change.ts';
import { draw } from '../../../control-plane/proxies/commands.ts';
import { setConnectedUntil, upsertProxy } from '../../../control-plane/proxies/store.ts';
import type { Services } from '../../../control-plane/services.ts';
import { RunSpending } from '../../../proxy/enforce/spending.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { backends, newRun, servicesFor } from '../backends.ts';
import { decided, newEgress, recovered, returned, TestJournal, type Record } from '../segments.ts';

async function connect(services: Services, journal_id: string): Promise<void> {
  await makeChange(services, (change) => upsertProxy(change.trx, { proxy_id: `prx_${journal_id}`, connection_id: 'c', at: change.at, connected_until: change.at + 1e9, journal_id }));
}

async function disconnect(services: Services, journal_id: string): Promise<void> {
  await makeChange(services, (change) => setConnectedUntil(change.trx, { proxy_id: `prx_${journal_id}`, connection_id: 'c', connected_until: 0 }));
}

const requestOf = (run_id: string, journal_id: string, wanted: number, waiting = wanted): Draw => ({
  draw_id: newId('draw', Date.now()), journal_id, run_id, epoch: 1, wanted: { requests: wanted }, waiting: { requests: waiting },
});

/** A run with a limit and two connected journals; the first has drawn all of it. */
async function setUp(services: Services, limit: number): Promise<{ readonly run_id: string; readonly holder: TestJournal; readonly other: TestJournal }> {
  const { run_id } = await newRun(services, { budget: { requests: limit } });
  const [holder, other] = [new TestJournal(), new TestJournal()];
  for (const { journal_id } of [holder, other]) await connect(services, journal_id);
  await draw(services, requestOf(run_id, holder.journal_id, limit));
  return { run_id, holder, other };
}

const open = (services: Services, { journal_id }: TestJournal) => openRecalls(services.database.kysely, [journal_id]);
const requestsOf = async (services: Services, run_id: string) => (await balancesOf(services.database.kysely, [run_id])).get(run_id)!.requests!;
const exhausted = { granted: { requests: 0 }, exhausted: ['requests'] };

for (const { name, test, locate } of backends) {
  test(`what another worker holds is asked back before a draw is refused, and is then given (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t), testClock());
    const { run_id, holder, other } = await setUp(services, 10);
    const { journal_id } = other;
    t.like(await draw(services, requestOf(run_id, journal_id, 1, 0)), exhausted, 'not for what nobody waits for');
    t.like(await draw(services, requestOf(run_id, journal_id, 3)), { granted: { requests: 0 }, exhausted: [], recalling: ['requests'] });
    t.like(await draw(services, requestOf(run_id, journal_id, 3)), { recalling: ['requests'] });
    t.deepEqual(await open(services, holder), [{ journal_id: holder.journal_id, run_id, meter: 'requests', recall: 1 }], 'once, however often it is drawn');
    t.deepEqual(await open(services, other), []);
    const answer = { journal_id: holder.journal_id, run_id, returned: { requests: 4 }, recalls: { requests: 1 } };
    for (let count = 0; count < 3; count++) await takeReturn(services, answer);
    t.like(await requestsOf(services, run_id), { reserved: 6, remaining: 4 }, 'a return counts once, however often it comes');
    t.deepEqual(await open(services, holder), []);
    t.like(await draw(services, requestOf(run_id, journal_id, 3)), { granted: { requests: 3 }, exhausted: [] });
  });

  test(`an answer of nothing refuses at once, and is believed for a second: an agent that hammers makes no storm (${name})`, async (t) => {
    const clock = testClock();
    const services = await servicesFor(t, await locate(t), clock);
    const { run_id, holder, other } = await setUp(services, 5);
    const hammer = () => draw(services, requestOf(run_id, other.journal_id, 1));
    t.like(await hammer(), { recalling: ['requests'] });
    await takeReturn(services, { journal_id: holder.journal_id, run_id, returned: {}, recalls: { requests: 1 } });
    for (let count = 0; count < 20; count++) {
      t.like(await hammer(), exhausted);
      clock.advance(45);
    }
    t.deepEqual(await open(services, holder), []);
    clock.advance(100);
    // The holder may have got units back from an exchange that ended meanwhile.
    t.like(await hammer(), { recalling: ['requests'] });
    t.like(await open(services, holder), [{ recall: 2 }]);
    await takeReturn(services, { journal_id: holder.journal_id, run_id, returned: { requests: 1 }, recalls: { requests: 2 } });
    t.like(await hammer(), { granted: { requests: 1 } });
  });

  test(`whoever drew since it answered is asked again; only so can nothing lie idle (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t), testClock());
    const { run_id, holder, other } = await setUp(services, 8);
    await draw(services, requestOf(run_id, other.journal_id, 1));
    await takeReturn(services, { journal_id: holder.journal_id, run_id, returned: { requests: 8 }, recalls: { requests: 1 } });
    t.like(await draw(services, requestOf(run_id, holder.journal_id, 1)), { granted: { requests: 2 } }, 'a quarter of it');
    t.like(await draw(services, requestOf(run_id, other.journal_id, 7)), { granted: { requests: 6 }, recalling: ['requests'] });
    t.like(await open(services, holder), [{ recall: 2 }]);
  });

  test(`a proxy that is silent is waited for once and two seconds, one that is gone not at all; a late answer still counts (${name})`, async (t) => {
    const clock = testClock();
    const services = await servicesFor(t, await locate(t), clock);
    const { run_id, holder, other } = await setUp(services, 5);
    t.like(await draw(services, requestOf(run_id, other.journal_id, 1)), { recalling: ['requests'] });
    clock.advance(1_999);
    t.like(await draw(services, requestOf(run_id, other.journal_id, 1)), { recalling: ['requests'] });
    clock.advance(1);
    t.like(await draw(services, requestOf(run_id, other.journal_id, 1)), exhausted);
    clock.advance(60_000);
    t.like(await draw(services, requestOf(run_id, other.journal_id, 1)), exhausted, 'not a second time');
    await takeReturn(services, { journal_id: holder.journal_id, run_id, returned: { requests: 5 }, recalls: { requests: 1 } });
    t.like(await draw(services, requestOf(run_id, other.journal_id, 4)), { granted: { requests: 4 } });
    const gone = await setUp(services, 5);
    await disconnect(services, gone.holder.journal_id);
    t.like(await draw(services, requestOf(gone.run_id, gone.other.journal_id, 1)), exhausted);
    await connect(services, gone.holder.journal_id);
    t.like(await draw(services, requestOf(gone.run_id, gone.other.journal_id, 1)), { recalling: ['requests'] });
    await disconnect(services, gone.holder.journal_id);
    t.like(await draw(services, requestOf(gone.run_id, gone.other.journal_id, 1)), exhausted, 'nor one that goes while it is asked');
    clock.step(-3_600_000);
    await connect(services, gone.holder.journal_id);
    t.like(await draw(services, requestOf(gone.run_id, gone.other.journal_id, 1)), exhausted, 'a clock that is set back makes nobody wait for an hour');
  });

  test(`a return gives back no more than is outstanding, nothing after the journal was recovered, and nothing nobody asked for (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t), testClock());
    const { run_id, holder, other } = await setUp(services, 5);
    const back = (units: number, recall: number) => takeReturn(services, { journal_id: holder.journal_id, run_id, returned: { requests: units }, recalls: { requests: recall } });
    await back(5, 1);
    t.like(await requestsOf(services, run_id), { reserved: 5 }, 'not asked');
    await draw(services, requestOf(run_id, other.journal_id, 1));
    await ingest(services, holder.segment([decided(run_id, newEgress()), recovered(holder.journal_id, [])]));
    await back(4, 1);
    t.like(await requestsOf(services, run_id), { used: 1, reserved: 0, remaining: 4 });
    await draw(services, requestOf(run_id, other.journal_id, 4));
    const third = new TestJournal();
    await connect(services, third.journal_id);
    await draw(services, requestOf(run_id, third.journal_id, 1));
    await takeReturn(services, { journal_id: other.journal_id, run_id, returned: { requests: 1000 }, recalls: { requests: 2 } });
    t.like(await requestsOf(services, run_id), { used: 1, reserved: 0, remaining: 4 });
  });

  test(`whatever is drawn, spent, lost, asked back and crashes: never a unit over, and without a crash never one left while somebody is refused (${name})`, async (t) => {
    const clock = testClock();
    const services = await servicesFor(t, await locate(t), clock);
    const step = fc.record({ worker: fc.nat({ max: 2 }), kind: fc.constantFrom('want', 'want', 'want', 'want', 'one', 'one', 'work', 'work', 'ship', 'lose', 'slow', 'slow', 'reconnect', 'crash'), units: fc.integer({ min: 1, max: 30 }) });
    await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 100 }), fc.array(step, { minLength: 6, maxLength: 20 }), async (limit, steps) => {
      await simulate(t, services, clock, limit, steps);
    }), { numRuns: name === 'Postgres' ? 25 : 10 });
  });
}

interface Step {
  readonly worker: number;
  readonly kind: 'want' | 'one' | 'work' | 'ship' | 'lose' | 'slow' | 'reconnect' | 'crash';
  readonly units: number;
}

/** One real `RunSpending` and its journal; the way to the control plane loses answers when told so. */
class SimulatedWorker {
  readonly journal = new TestJournal();
  readonly spending: RunSpending;
  readonly #services: Services;
  readonly #run_id: string;
  readonly #unshipped: Record[] = [];
  #told = new Set<string>();
  calls = 0;
  waiting = 0;
  lose = 0;
  slow = 0;
  crashed = false;
  forwarded = 0;
  refused: string[] = [];

  constructor(services: Services, clock: TestClock, run_id: string) {
    this.#services = services;
    this.#run_id = run_id;
    const { journal_id } = this.journal;
    this.spending = new RunSpending({
      run_id, journal_id, clock, late: (units) => this.#unshipped.push(returned(run_id, units)),
      draw: (request) => this.#call(() => draw(services, request)),
      giveUp: (answer) => this.#call(() => takeReturn(services, answer)),
    }, 1);
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    this.calls++;
    const slow = this.slow;
    this.slow = 0;
    try {
      for (let count = slow % 2 * slow * 5; count > 0; count--) await turn();
      const answer = await work();
      for (let count = (slow + 1) % 2 * slow * 5; count > 0; count--) await turn();
      if (this.lose-- > 0) throw new SallyportError('control_plane_unreachable', 'lost');
      return answer;
    } finally {
      this.calls--;
    }
  }

  want(): void {
    this.waiting++;
    void Promise.resolve(this.spending.reserveRequest()).then((problem) => {
      this.waiting--;
      if (this.crashed) return;
      if (problem !== undefined) return this.refused.push(problem.code);
      this.forwarded++;
      return this.#unshipped.push(decided(this.#run_id, newEgress()));
    });
  }

  async ship(last: readonly Record[] = []): Promise<void> {
    const records = [...this.#unshipped.splice(0), ...last];
    if (records.length > 0) await ingest(this.#services, this.journal.segment(records));
  }

  /** As the hub does: each once on a stream. True when there was something new. */
  async hear(): Promise<boolean> {
    if (this.crashed) return false;
    const asked = await openRecalls(this.#services.database.kysely, [this.journal.journal_id]);
    const recalls: Recalls = {};
    for (const { meter, recall } of asked) if (!this.#told.has(`${meter} ${recall}`)) recalls[meter] = recall;
    this.#told = new Set(asked.map(({ meter, recall }) => `${meter} ${recall}`));
    if (Object.keys(recalls).length === 0) return false;
    this.spending.recall(recalls);
    return true;
  }

  reconnect(): void {
    this.#told.clear();
    this.spending.wake();
  }

  crash(): void {
    this.crashed = true;
    this.spending.close(new SallyportError('run_ended', 'crashed'));
    this.spending.abandon();
  }
}

async function simulate(t: ExecutionContext, services: Services, clock: TestClock, limit: number, steps: readonly Step[]): Promise<void> {
  const { run_id } = await newRun(services, { budget: { requests: limit } });
  const workers = [1, 2, 3].map(() => new SimulatedWorker(services, clock, run_id));
  for (const { journal } of workers) await connect(services, journal.journal_id);
  const forwarded = (): number => workers.reduce((sum, worker) => sum + worker.forwarded, 0);
  /** One turn: what is under way goes on, what is asked is heard, and only when nothing is under way time passes. */
  const pump = async (): Promise<void> => {
    await turn();
    let heard = false;
    for (const worker of workers) heard = await worker.hear() || heard;
    await turn();
    if (!heard && workers.every(({ calls, crashed }) => crashed || calls === 0)) clock.advance(20);
    t.true(forwarded() <= limit, `${forwarded()} of ${limit}`);
  };
  let demand = 0;
  // Nearly all lies idle at the first: it took it for requests that came to nothing.
  const [first] = workers as [SimulatedWorker];
  const asked: (SallyportError | undefined)[] = [];
  for (let count = 0; count < limit; count++) void Promise.resolve(first.spending.reserveRequest()).then((problem) => asked.push(problem));
  while (asked.length < limit) await pump();
  const taken = asked.filter((problem) => problem === undefined).length;
  first.spending.giveBack('requests', taken);
  for (const { worker: index, kind, units } of steps) {
    const worker = workers[index]!;
    if (worker.crashed) continue;
    switch (kind) {
      case 'want':
        demand += units;
        for (let count = 0; count < units; count++) worker.want();
        break;
      case 'one':
        demand++;
        worker.want();
        break;
      case 'slow': worker.slow = units; break;
      case 'work': for (let count = 0; count < units; count++) await pump(); break;
      case 'ship': await worker.ship(); break;
      case 'lose': worker.lose = Math.min(units, 3); break;
      case 'reconnect': worker.reconnect(); break;
      case 'crash':
        worker.crash();
        await disconnect(services, worker.journal.journal_id);
        break;
    }
  }
  for (let count = 0; workers.some(({ crashed, waiting }) => !crashed && waiting > 0); count++) {
    if (count > 2000) throw new Error('Somebody waits for ever.');
    await pump();
  }
  if (workers.every(({ crashed }) => !crashed)) {
    t.is(forwarded(), Math.min(limit, demand), 'as much as there was, where it was wanted');
    t.true(workers.flatMap(({ refused }) => refused).every((code) => code === 'budget_exhausted'));
  }
  // All end, those that crashed by their successors.
  for (const worker of workers) {
    if (!worker.crashed) {
      for (let count = 0; worker.spending.unsettled && count < 2000; count++) await pump();
      worker.spending.close(new SallyportError('run_ended', 'over'));
      await worker.ship([returned(run_id, worker.spending.takeAll())]);
    } else {
      while (worker.calls > 0) await turn();
      await worker.ship([recovered(worker.journal.journal_id, [])]);
    }
  }
  const balance = await requestsOf(services, run_id);
  t.deepEqual({ used: balance.used, reserved: balance.reserved }, { used: forwarded(), reserved: 0 });
}
