import test from 'ava';
import { testClock } from '../../helpers/clock.ts';
import { nowhere } from '../../../proxy/roster.ts';
import { Sweep } from '../../../proxy/wire/sweep.ts';

test('what is overdue hears of it, what moved its deadline does not, and an empty sweep has no timer', (t) => {
  const clock = testClock();
  const sweep = new Sweep(clock);
  const heard: string[] = [];
  const watch = (name: string, milliseconds: number) => {
    const watched = { due: sweep.now + milliseconds, place: nowhere, expired: () => { heard.push(name); sweep.remove(watched); } };
    sweep.add(watched);
    return watched;
  };
  const moving = watch('moving', 1000);
  watch('short', 500);
  const removed = watch('removed', 500);
  sweep.remove(removed);
  clock.advance(800);
  t.deepEqual(heard, ['short']);
  moving.due = sweep.now + 1000;
  clock.advance(900);
  t.deepEqual(heard, ['short']);
  clock.advance(500);
  t.deepEqual(heard, ['short', 'moving']);
  clock.advance(500);
  t.is(clock.waiting, 0);
});

test('after a stall what was overdue has one more look to be used', (t) => {
  const clock = testClock();
  const sweep = new Sweep(clock);
  let expired = 0;
  const watched = { due: sweep.now + 1000, place: nowhere, expired: () => { expired++; } };
  sweep.add(watched);
  clock.advance(750);
  // The next timer comes late: everything that waited is read between it and the one after it.
  t.is(expired, 0);
  clock.advance(250);
  t.is(expired, 0);
  watched.due = sweep.now + 1000;
  clock.advance(1000);
  t.is(expired, 0);
  clock.advance(250);
  t.is(expired, 1);
  sweep.close();
});

test('after a time in which nothing was watched, the first deadline is as far away as any', (t) => {
  const clock = testClock();
  const sweep = new Sweep(clock);
  const first = { due: Infinity, place: nowhere, expired: () => { /* Never. */ } };
  sweep.add(first);
  sweep.remove(first);
  clock.advance(60_000);
  let expired = 0;
  sweep.add({ due: sweep.now + 1000, place: nowhere, expired: () => { expired++; } });
  clock.advance(900);
  t.is(expired, 0);
  clock.advance(600);
  t.true(expired > 0);
  sweep.close();
});
