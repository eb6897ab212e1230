import { takeReport } from '../../../control-plane/agents/commands.ts';
import { getRun } from '../../../control-plane/runs/commands.ts';
import { startReaper } from '../../../control-plane/runs/loop.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { until } from '../../helpers/wait.ts';
import { backends, newRun, servicesFor } from '../backends.ts';

/** In the reaper's own steps, so that it never takes the passing for a standstill. */
async function pass(clock: TestClock, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 5000) {
    await until('the loop to wait', () => clock.waiting === 1);
    clock.advance(5000);
  }
  await until('the loop to wait', () => clock.waiting === 1);
}

for (const { name, test, locate } of backends) {
  test(`a host's heartbeat keeps its runs, and those that wait for a place; the silence of all hosts fails them (${name})`, async (t) => {
    const clock = testClock();
    const services = await servicesFor(t, await locate(t), clock);
    const reaper = startReaper(services);
    t.teardown(() => reaper.stop());
    await pass(clock, 30_000);
    const command = { argv: ['agent'], work: '/srv', env: {}, give_work: false };
    const hosted = await newRun(services, { channel: 'jail', unlimited_wall_clock: true, command });
    const launched = await newRun(services, { channel: 'jail', unlimited_wall_clock: true });
    const stateOf = async ({ run_id }: { run_id: string }) => {
      const { state, reason } = await getRun(services.database.kysely, run_id);
      return [state, reason];
    };
    await pass(clock, 20_000);
    await takeReport(services, { type: 'heartbeat', host_id: 'host_1', present: [] });
    await pass(clock, 20_000);
    t.deepEqual(await stateOf(launched), ['Failed', 'launcher lost'], 'it is no host\'s to keep');
    t.deepEqual(await stateOf(hosted), ['Active', undefined]);
    await pass(clock, 15_000);
    t.deepEqual(await stateOf(hosted), ['Failed', 'agent lost']);
    await takeReport(services, { type: 'heartbeat', host_id: 'host_1', present: [{ run_id: hosted.run_id, epoch: 1 }] });
    await takeReport(services, { type: 'started', host_id: 'host_1', run_id: hosted.run_id, epoch: 1 });
    t.deepEqual(await stateOf(hosted), ['Failed', 'agent lost'], 'late words change nothing');
  });
}
