import test from 'ava';
import { systemClock } from '../../contracts/clock.ts';
import { testClock } from '../helpers/clock.ts';
import { within } from '../helpers/wait.ts';

test('the system clock calls once, not before the time has passed', async (t) => {
  const start = systemClock.monotonic();
  await within('the timer', new Promise<void>((resolve) => { systemClock.setTimeout(resolve, 20); }));
  t.true(systemClock.monotonic() - start >= 19.5);
});

test('a delay longer than Node can count does not fire at once', async (t) => {
  let fired = false;
  const long = systemClock.setTimeout(() => { fired = true; }, 2 ** 31);
  await within('a later timer', new Promise<void>((resolve) => { systemClock.setTimeout(resolve, 30); }));
  long.cancel();
  t.false(fired);
});

test('a cancelled timer never fires', async (t) => {
  let fired = false;
  systemClock.setTimeout(() => { fired = true; }, 1).cancel();
  await within('a later timer', new Promise<void>((resolve) => { systemClock.setTimeout(resolve, 20); }));
  t.false(fired);
});

test('the test clock runs timers in order of their instant, also those started on the way', (t) => {
  const clock = testClock(1000);
  const seen: string[] = [];
  clock.setTimeout(() => seen.push(`b ${clock.now()}`), 20);
  clock.setTimeout(() => {
    seen.push(`a ${clock.now()}`);
    clock.setTimeout(() => seen.push(`c ${clock.now()}`), 15);
    clock.setTimeout(() => seen.push(`never ${clock.now()}`), 500);
  }, 10);
  clock.advance(100);
  t.deepEqual(seen, ['a 1010', 'b 1020', 'c 1025']);
  t.is(clock.now(), 1100);
  t.is(clock.waiting, 1);
});

test('a step of the wall clock moves no timer', (t) => {
  const clock = testClock(1000);
  let fired = 0;
  clock.setTimeout(() => fired++, 50);
  clock.step(-900);
  t.is(clock.now(), 100);
  clock.advance(49);
  t.is(fired, 0);
  clock.advance(1);
  t.is(fired, 1);
  t.is(clock.monotonic(), 50);
});
