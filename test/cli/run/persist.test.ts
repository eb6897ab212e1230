import test from 'ava';
import { persist } from '../../../cli/run/persist.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { testClock } from '../../helpers/clock.ts';

const away = new SallyportError('control_plane_unreachable', 'away');

/** Lets the code under test run on until it waits. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

test('a call is repeated until the control plane is back', async (t) => {
  const clock = testClock();
  let calls = 0;
  const outcome = persist(async () => {
    if (++calls < 4) throw away;
    return 'there';
  }, clock, { up: () => true });
  for (const pause of [50, 100, 200]) {
    await settle();
    t.is(clock.waiting, 1);
    clock.advance(pause);
  }
  t.is(await outcome, 'there');
  t.is(calls, 4);
});

test('it is given up in the end, at once when up is gone, and at once on any other failure', async (t) => {
  const clock = testClock();
  const patient = persist(() => Promise.reject(away), clock, { up: () => true });
  const told = t.throwsAsync(patient, { is: away });
  for (let second = 0; second < 20; second++) {
    await settle();
    clock.advance(1000);
  }
  await told;
  await t.throwsAsync(persist(() => Promise.reject(away), testClock(), { up: () => false }), { is: away });
  const other = new SallyportError('forbidden', 'no');
  await t.throwsAsync(persist(() => Promise.reject(other), testClock(), { up: () => true }), { is: other });
});
