import test from 'ava';
import fc from 'fast-check';
import { mostPresent } from '../../contracts/agent-limits.ts';
import { formatPresent, parsePresent } from '../../contracts/present-agents.ts';

const agent = fc.record({ run_id: fc.stringMatching(/^[\w.-]{1,100}$/), epoch: fc.nat() });

test('a list of present agents is read as it was written', (t) => {
  fc.assert(fc.property(fc.array(agent, { maxLength: mostPresent }), (agents) => {
    t.deepEqual(parsePresent(formatPresent(agents)), agents);
  }));
});

test('whatever is no such list is nothing, and never an exception', (t) => {
  for (const text of ['x', ':1', 'x:', 'x:-1', 'x:1,', ',x:1', 'x:1 ', 'x:1.5', 'a b:1', 'x:1:1', 'x:1234567890123456', Array.from({ length: mostPresent + 1 }, () => 'x:1').join(',')]) {
    t.is(parsePresent(text), undefined, text);
  }
  fc.assert(fc.property(fc.string(), (text) => {
    const parsed = parsePresent(text);
    t.true(parsed === undefined || formatPresent(parsed).length <= text.length);
  }));
});
