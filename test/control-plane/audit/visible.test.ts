import test from 'ava';
import type { Event } from '../../../contracts/event.ts';
import type { RunAction } from '../../../contracts/run-api.ts';
import { asAgentSees } from '../../../control-plane/audit/visible.ts';

const reason = (rule: string, visible_to_agent: boolean) => ({ effect: 'deny', rule, pack: 'p', message: `of ${rule}`, visible_to_agent });
const action = (payload: object, rules: readonly string[]): RunAction => ({
  event: { v: 1, event_id: 'e', type: 'egress.denied', at: 1, causes: [], actor: { kind: 'proxy', id: 'p' }, policy: { revision: 'r', rules }, facts: {}, payload } as unknown as Event,
  completion: null, entry_index: 3,
});

test('an agent is told of no rule that is not for its eyes, by reason, obligation or name', (t) => {
  const whole = action({ host: 'a.test', reasons: [reason('p.seen', true), reason('p.trap', false), reason('p.both', false), reason('p.both', true)], obligations: [{ type: 'log', rule: 'p.trap', params: {} }, { type: 'log', rule: 'p.seen', params: {} }] }, ['p.seen', 'p.trap', 'p.both']);
  const seen = asAgentSees(whole);
  t.false(JSON.stringify(seen).includes('p.trap'));
  t.deepEqual(seen.event.payload['reasons'], [reason('p.seen', true), reason('p.both', true)]);
  t.deepEqual(seen.event.policy, { revision: 'r', rules: ['p.seen', 'p.both'] });
  t.deepEqual(seen.event.payload['obligations'], [{ type: 'log', rule: 'p.seen', params: {} }]);
  t.is(seen.event.payload['host'], 'a.test');
  t.is(seen.entry_index, 3);
});

test('where nothing is hidden, and where there are no reasons, it stays as it is', (t) => {
  for (const plain of [action({ reasons: [reason('p.seen', true)] }, ['p.seen']), action({ goal: 'x' }, [])]) t.deepEqual(asAgentSees(plain), plain);
});
