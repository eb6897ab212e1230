import test from 'ava';
import * as fc from 'fast-check';
import { leafLifeMs, longestOverlapMs, mayStillSign, mostAuthorities, rotated, signerAt, trustedAt, trustedUntil, waitingAt, type Span } from '../../../../proxy/intercept/authority/rules.ts';

const start = Date.UTC(2031, 0, 1);
const hour = 3_600_000;
const day = 24 * hour;

type Step = { readonly kind: 'wait'; readonly milliseconds: number } | { readonly kind: 'rotate'; readonly overlap: number } | { readonly kind: 'drop' };

const steps: fc.Arbitrary<readonly Step[]> = fc.array(fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), milliseconds: fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 12 * day })) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rotate' as const), overlap: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 * day }), fc.integer({ min: 0, max: longestOverlapMs })) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const) }) },
), { maxLength: 40 });

interface Leaf { readonly signer: string; readonly until: number }

test('whatever is rotated when: somebody signs, everybody trusts the signer and each leaf until its end, and one waits at most', (t) => {
  fc.assert(fc.property(steps, (given) => {
    let made = 0;
    const make = (signs_from: number): Span => ({ id: `${made++}`, signs_from });
    let all: readonly Span[] = [make(start)];
    let now = start;
    const leaves: Leaf[] = [];
    for (const step of given) {
      if (step.kind === 'wait') now += step.milliseconds;
      else if (step.kind === 'drop') all = trustedAt(all, now);
      else {
        const waiting = waitingAt(all, now);
        const before = signerAt(all, now);
        const next = rotated(all, make, now, step.overlap);
        if (next === undefined) {
          if (trustedAt(all, now).length < mostAuthorities) return false;
          continue;
        }
        all = next;
        const now_waiting = waitingAt(all, now);
        // A second rotation makes no second one, and the new one never pushes out the present one before its time.
        if (waiting !== undefined && next.length > trustedAt(all, now).length) return false;
        if (step.overlap > 0 && (now_waiting === undefined || signerAt(all, now)?.id !== before?.id)) return false;
        if (step.overlap > 0 && now_waiting !== undefined && now_waiting.signs_from !== Math.max(now + step.overlap, (before?.signs_from ?? 0) + 1)) return false;
        if (waiting !== undefined && step.overlap > 0 && now_waiting?.id !== waiting.id) return false;
      }
      const signer = signerAt(all, now);
      const trusted = trustedAt(all, now).map(({ id }) => id);
      if (signer === undefined || !trusted.includes(signer.id) || !mayStillSign(all, signer.id, now)) return false;
      if (all.filter(({ signs_from }) => signs_from > now).length > 1 || trusted.length > mostAuthorities) return false;
      leaves.push({ signer: signer.id, until: now + leafLifeMs });
      if (leaves.some(({ signer: id, until }) => now < until && !trusted.includes(id))) return false;
    }
    return true;
  }), { numRuns: 500 });
  t.pass();
});

test('what is dropped changes nothing, then or later', (t) => {
  const spans = fc.uniqueArray(fc.integer({ min: 0, max: 30 * day }), { minLength: 1, maxLength: mostAuthorities })
    .map((starts): readonly Span[] => starts.map((at, index) => ({ id: `${index}`, signs_from: start + at })));
  fc.assert(fc.property(spans, fc.integer({ min: 0, max: 60 * day }), fc.integer({ min: 0, max: 60 * day }), (all, dropAt, later) => {
    const now = start + dropAt;
    const kept = trustedAt(all, now);
    t.deepEqual(signerAt(kept, now + later), signerAt(all, now + later));
    t.deepEqual(trustedAt(kept, now + later), trustedAt(all, now + later));
  }));
});

test('one is trusted until the last leaf that it signed has ended, and then no more', (t) => {
  const all = rotated([{ id: 'old', signs_from: start }], (signs_from) => ({ id: 'new', signs_from }), start + day, day) ?? [];
  t.deepEqual(trustedAt(all, start + day).map(({ id }) => id), ['old', 'new']);
  t.is(signerAt(all, start + 2 * day - 1)?.id, 'old');
  t.is(signerAt(all, start + 2 * day)?.id, 'new');
  t.is(trustedUntil(all, 'new'), undefined);
  const end = trustedUntil(all, 'old') ?? 0;
  t.true(end >= start + 2 * day + leafLifeMs && end <= start + 2 * day + leafLifeMs + hour);
  t.deepEqual(trustedAt(all, end - 1).map(({ id }) => id), ['old', 'new']);
  t.deepEqual(trustedAt(all, end).map(({ id }) => id), ['new']);
});

test('a clock that was set back finds a signer', (t) => {
  const all: readonly Span[] = [{ id: 'a', signs_from: start }, { id: 'b', signs_from: start + day }];
  t.is(signerAt(all, start - 365 * day)?.id, 'a');
  const next = rotated(all, (signs_from) => ({ id: 'c', signs_from }), start - day, 0);
  t.is(signerAt(next ?? [], start - day)?.id, 'a');
  t.is(signerAt([], start), undefined);
});

test('a rotation in a loop ends with the bound', (t) => {
  let all: readonly Span[] | undefined = [{ id: '0', signs_from: start }];
  for (let count = 1; count < mostAuthorities; count++) {
    all = rotated(all ?? [], (signs_from) => ({ id: `${count}`, signs_from }), start + count, 0);
    t.is(all?.length, count + 1);
  }
  t.is(rotated(all ?? [], () => ({ id: 'x', signs_from: 0 }), start + 20, 0), undefined);
});
