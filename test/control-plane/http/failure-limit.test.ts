import test from 'ava';
import { FailureLimit } from '../../../control-plane/http/failure-limit.ts';
import { testClock } from '../../helpers/clock.ts';

test('an address that fails twenty times waits for the next window; others do not', (t) => {
  const clock = testClock();
  const limit = new FailureLimit(clock);
  for (let count = 0; count < 20; count++) {
    t.true(limit.mayTry('a'));
    limit.failed('a');
  }
  t.false(limit.mayTry('a'));
  t.true(limit.mayTry('b'));
  clock.advance(10_000);
  t.true(limit.mayTry('a'));
});

test('the addresses remembered are bounded', (t) => {
  const limit = new FailureLimit(testClock());
  for (let count = 0; count < 20; count++) limit.failed('first');
  t.false(limit.mayTry('first'));
  for (let count = 0; count < 10_000; count++) limit.failed(`address ${count}`);
  t.true(limit.mayTry('first'), 'the oldest is forgotten');
});
