import test from 'ava';
import { Signals } from '../../control-plane/signals.ts';
import { testClock } from '../helpers/clock.ts';

test('a wait ends by signal, by time, or by abort, and then leaves nothing behind', async (t) => {
  const clock = testClock();
  const signals = new Signals();
  const bySignal = signals.next(['runs', 'sealed'], clock, 1000);
  signals.emit('sealed');
  await bySignal.over;
  const byTime = signals.next(['runs'], clock, 1000);
  clock.advance(1000);
  await byTime.over;
  const abort = new AbortController();
  const byAbort = signals.next(['runs'], clock, 1000, abort.signal);
  abort.abort();
  await byAbort.over;
  await signals.next(['runs'], clock, 1000, abort.signal).over;
  const given = signals.next(['runs'], clock, 1000);
  given.cancel();
  await given.over;
  t.is(clock.waiting, 0);
});

test('a signal wakes only who waits for it', async (t) => {
  const clock = testClock();
  const signals = new Signals();
  let woken = false;
  const other = signals.next(['run:run_1'], clock, 1000);
  void other.over.then(() => { woken = true; });
  signals.emit('run:run_2');
  await Promise.resolve();
  t.false(woken);
  signals.emit('run:run_1');
  await other.over;
  t.true(woken);
});
