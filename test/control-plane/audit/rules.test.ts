import test from 'ava';
import { checkAgainstSeal, sealDue } from '../../../control-plane/audit/rules.ts';

test('a seal is due when the chain was busy long enough or a run ended, and hourly when nothing happens', (t) => {
  const last = { size: 5, at: 100_000 };
  const table: readonly [string, Parameters<typeof sealDue>[0], boolean][] = [
    ['an empty chain', { now: 100_000, size: 0, last: undefined, events: 0, lastTransition: undefined }, false],
    ['the first entries', { now: 100_000, size: 1, last: undefined, events: 0, lastTransition: undefined }, true],
    ['nothing new', { now: 200_000, size: 5, last, events: 0, lastTransition: 90_000 }, false],
    ['nothing new for an hour', { now: 100_000 + 3_600_000, size: 5, last, events: 0, lastTransition: 90_000 }, true],
    ['something new', { now: 105_000, size: 6, last, events: 3, lastTransition: 90_000 }, false],
    ['something new for ten seconds', { now: 110_000, size: 6, last, events: 3, lastTransition: 90_000 }, true],
    ['many events', { now: 101_000, size: 6, last, events: 10_000, lastTransition: undefined }, true],
    ['a run that ended', { now: 101_000, size: 6, last, events: 2, lastTransition: 100_500 }, true],
    ['a clock that was set back', { now: 50_000, size: 6, last, events: 1, lastTransition: undefined }, true],
  ];
  for (const [what, state, due] of table) t.is(sealDue(state), due, what);
});

test('a chain that has lost or changed what was sealed is refused; another incarnation is another history', (t) => {
  const root = 'ab'.repeat(32);
  const sealed = { origin: 'x', size: 5, root: Uint8Array.from(Buffer.from(root, 'hex')), incarnation: 'one', at: 1 };
  const head = { size: 5, root, incarnation: 'one' };
  t.notThrows(() => checkAgainstSeal(head, undefined));
  t.notThrows(() => checkAgainstSeal(head, sealed));
  t.notThrows(() => checkAgainstSeal({ ...head, size: 9, root: 'cd'.repeat(32) }, sealed));
  t.notThrows(() => checkAgainstSeal({ size: 0, root, incarnation: 'two' }, sealed));
  t.throws(() => checkAgainstSeal({ ...head, size: 4 }, sealed), { code: 'chain_conflict' });
  t.throws(() => checkAgainstSeal({ ...head, root: 'cd'.repeat(32) }, sealed), { code: 'chain_conflict' });
});
