import test from 'ava';
import { project } from '../../../control-plane/audit/projection.ts';
import { chainEvent } from '../../helpers/chain.ts';
import type { Event } from '../../../contracts/event.ts';

const event = (index: number, type: Event['type'], egress_id: string): Event => ({ ...chainEvent(index, { egress_id }), type });

test('events become rows: pairs joined, the rest alone, counts by run', (t) => {
  const { rows, completions, activity } = project([
    event(1, 'egress.decided', 'a'), event(2, 'egress.denied', 'b'), event(3, 'egress.cut', 'a'), event(4, 'egress.failed', 'earlier'),
    event(5, 'egress.decided', 'c'), event(6, 'egress.completed', 'a'), event(7, 'allowance.returned', ''),
  ]);
  t.deepEqual(rows.map(({ type, egress_id, completion_type }) => [type, egress_id, completion_type]), [
    ['egress.decided', 'a', 'egress.cut'], ['egress.denied', null, null], ['egress.decided', 'c', null], ['egress.completed', null, null], ['allowance.returned', null, null],
  ]);
  t.deepEqual(completions.map(({ egress_id, type }) => [egress_id, type]), [['earlier', 'egress.failed']]);
  t.deepEqual(activity, [{ run_id: 'run_1', allowed: 2, denied: 1 }]);
});

test('rows name the lines of both, and one completion is of one exchange', (t) => {
  const { rows, completions } = project([
    event(1, 'egress.decided', 'a'), event(2, 'egress.decided', 'a'), event(3, 'egress.completed', 'a'), event(4, 'egress.completed', 'b'), event(5, 'egress.decided', 'nul\0'),
  ]);
  t.deepEqual(rows.map(({ line, egress_id, completion_line }) => [line, egress_id, completion_line]), [[0, 'a', 2], [1, 'a', null], [4, null, null]]);
  t.deepEqual(completions.map(({ line }) => line), [3]);
});

test('the order of events in a segment does not part a pair', (t) => {
  const { rows, completions } = project([event(1, 'egress.completed', 'a'), event(2, 'egress.decided', 'a')]);
  t.is(rows.length, 1);
  t.is(completions.length, 0);
  t.is(rows[0]!.completion_type, 'egress.completed');
});
