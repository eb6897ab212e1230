import test from 'ava';
import { array, assert, nat, property, record, string, stringMatching } from 'fast-check';
import { mostPresent } from '../../contracts/agent-limits.ts';
import { formatPresent, parsePresent } from '../../contracts/present-agents.ts';

const agent = record({ run_id: stringMatching(/^[\w.-]{1,100}$/), epoch: nat() });

test('a list of present agents is read as it was written', (t) => {
  assert(property(array(agent, { maxLength: mostPresent }), (agents) => {
    t.deepEqual(parsePresent(formatPresent(agents)), agents);
  }));
});

test('whatever is no such list is nothing, and never an exception', (t) => {
  for (const text of ['x', ':1', 'x:', 'x:-1', 'x:1,', ',x:1', 'x:1 ', 'x:1.5', 'a b:1', 'x:1:1', 'x:1234567890123456', Array.from({ length: mostPresent + 1 }, () => 'x:1').join(',')]) {
    t.is(parsePresent(text), undefined, text);
  }
  assert(property(string(), (text) => {
    const parsed = parsePresent(text);
    t.true(parsed === undefined || formatPresent(parsed).length <= text.length);
  }));
});
