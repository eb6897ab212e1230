import test from 'ava';
import * as fc from 'fast-check';
import { nowhere, Roster } from '../../proxy/roster.ts';

test('a roster holds what a set would, in whatever order members come and go', (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 9 })), { maxLength: 60 }), (steps) => {
    const members = Array.from({ length: 10 }, (_, name) => ({ name, place: nowhere }));
    const roster = new Roster<(typeof members)[number]>();
    const set = new Set<(typeof members)[number]>();
    for (const [comes, index] of steps) {
      const member = members[index]!;
      if (!comes) {
        roster.delete(member);
        set.delete(member);
      } else {
        roster.add(member);
        set.add(member);
      }
    }
    t.deepEqual(roster.all().map(({ name }) => name).sort(), [...set].map(({ name }) => name).sort());
    t.is(roster.size, set.size);
  }));
});

test('members may leave while all are told', (t) => {
  const roster = new Roster<{ place: number }>();
  const members = [{ place: nowhere }, { place: nowhere }, { place: nowhere }];
  for (const member of members) roster.add(member);
  let told = 0;
  for (const member of roster.all()) {
    told++;
    roster.delete(member);
  }
  t.is(told, 3);
  t.is(roster.size, 0);
});
