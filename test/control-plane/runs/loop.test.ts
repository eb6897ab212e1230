import { getRun, heartbeat } from '../../../control-plane/runs/commands.ts';
import { startReaper } from '../../../control-plane/runs/loop.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { until } from '../../helpers/wait.ts';
import { backends, newRun, servicesFor } from '../backends.ts';

/** Lets time pass in the reaper's own steps, so that it never takes the passing for a standstill. */
async function pass(clock: TestClock, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 5000) {
    await until('the loop to wait', () => clock.waiting === 1);
    clock.advance(Math.min(5000, milliseconds - passed));
  }
  await until('the loop to wait', () => clock.waiting === 1);
  clock.advance(500);
  await until('the loop to wait', () => clock.waiting === 1);
}

for (const { name, test, locate } of backends) {
  test(`runs end by themselves: wall clock, deadline, lost launcher, and only those (${name})`, async (t) => {
    const clock = testClock();
    const services = await servicesFor(t, await locate(t), clock);
    const reaper = startReaper(services);
    t.teardown(() => reaper.stop());
    await pass(clock, 30_000);
    const wallClock = await newRun(services, { budget: { wall_clock_ms: 20_000 } });
    const deadline = await newRun(services, { deadline_ms: 50_000, unlimited_wall_clock: true });
    const { session_id } = await getRun(services.database.kysely, deadline.run_id);
    const queued = await newRun(services, { session_id, queue: true, deadline_ms: 10_000 });
    const lost = await newRun(services, { channel: 'jail', unlimited_wall_clock: true });
    const kept = await newRun(services, { channel: 'jail', unlimited_wall_clock: true });
    const remote = await newRun(services, { unlimited_wall_clock: true });
    const stateOf = async ({ run_id }: { run_id: string }) => {
      const { state, reason } = await getRun(services.database.kysely, run_id);
      return [state, reason];
    };
    await pass(clock, 9_000);
    t.deepEqual(await stateOf(queued), ['Queued', 'another run of the session is active']);
    await pass(clock, 5_000);
    t.deepEqual(await stateOf(queued), ['Failed', 'deadline has passed']);
    t.deepEqual(await stateOf(wallClock), ['Active', undefined]);
    await pass(clock, 6_000);
    t.deepEqual(await stateOf(wallClock), ['Failed', 'wall clock budget is used up']);
    await heartbeat(services, kept.run_id, 'operator');
    await heartbeat(services, lost.run_id, 'agent');
    await pass(clock, 12_000);
    t.deepEqual(await stateOf(lost), ['Failed', 'launcher lost']);
    t.deepEqual(await stateOf(kept), ['Active', undefined]);
    t.deepEqual(await stateOf(deadline), ['Active', undefined]);
    await pass(clock, 20_000);
    t.deepEqual(await stateOf(deadline), ['Failed', 'deadline has passed']);
    t.deepEqual(await stateOf(remote), ['Active', undefined]);
  });

  test(`after a standstill launchers have time to renew their leases (${name})`, async (t) => {
    const clock = testClock();
    const services = await servicesFor(t, await locate(t), clock);
    const reaper = startReaper(services);
    t.teardown(() => reaper.stop());
    await pass(clock, 30_000);
    const { run_id } = await newRun(services, { channel: 'jail', unlimited_wall_clock: true });
    const stateOf = async (): Promise<string> => (await getRun(services.database.kysely, run_id)).state;
    clock.advance(600_000);
    await pass(clock, 20_000);
    t.is(await stateOf(), 'Active');
    await pass(clock, 15_000);
    t.is(await stateOf(), 'Failed');
  });
}
