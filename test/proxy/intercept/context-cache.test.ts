import test from 'ava';
import * as fc from 'fast-check';
import { ContextCache, type CachedContext } from '../../../proxy/intercept/context-cache.ts';

const entry = (context: string, more: Partial<CachedContext<string>> = {}): CachedContext<string> => ({ context, signer_id: 's', from: 0, until: 1000, ...more });
const cacheOf = (most: number): { readonly cache: ContextCache<string>; readonly dropped: string[] } => {
  const dropped: string[] = [];
  return { cache: new ContextCache(most, (context) => { dropped.push(context); }), dropped };
};

test('a context is found by its run and host alone, while it may be given out', (t) => {
  const { cache, dropped } = cacheOf(10);
  cache.set('r1', 'a.test', entry('one', { from: 100, until: 200 }));
  t.is(cache.get('r1', 'a.test', 's', 100), 'one');
  t.is(cache.get('r2', 'a.test', 's', 100), undefined);
  t.is(cache.get('r1', 'b.test', 's', 100), undefined);
  t.deepEqual(dropped, []);
  for (const [signer, now] of [['s', 200], ['s', 99], ['other', 150]] as const) {
    cache.set('r1', 'a.test', entry('one', { from: 100, until: 200 }));
    dropped.length = 0;
    t.is(cache.get('r1', 'a.test', signer, now), undefined);
    t.deepEqual(dropped, ['one']);
  }
  t.is(cache.size, 0);
});

test('a run that floods drives out its own', (t) => {
  const { cache, dropped } = cacheOf(100);
  for (let run = 0; run < 5; run++) for (let host = 0; host < 10; host++) cache.set(`quiet-${run}`, `h${host}`, entry(`quiet-${run}-${host}`));
  for (let host = 0; host < 10_000; host++) cache.set('loud', `h${host}`, entry(`loud-${host}`));
  t.is(cache.size, 100);
  t.true(dropped.every((context) => context.startsWith('loud-')));
  t.is(dropped.length, 9950);
  for (let run = 0; run < 5; run++) for (let host = 0; host < 10; host++) t.is(cache.get(`quiet-${run}`, `h${host}`, 's', 1), `quiet-${run}-${host}`);
  t.is(cache.get('loud', 'h9999', 's', 1), 'loud-9999');
  t.is(cache.get('loud', 'h9949', 's', 1), undefined);
});

test('of a run, the one that was used longest ago goes first; of runs with as many, the one that was', (t) => {
  const { cache, dropped } = cacheOf(4);
  for (const name of ['a', 'b']) for (const run of ['r1', 'r2']) cache.set(run, name, entry(`${run}${name}`));
  cache.get('r1', 'a', 's', 1);
  cache.set('r3', 'x', entry('r3x'));
  t.deepEqual(dropped, ['r2a']);
  cache.set('r3', 'y', entry('r3y'));
  t.deepEqual(dropped, ['r2a', 'r1b']);
});

test('a run that has no fewer than any other gives its own', (t) => {
  const { cache, dropped } = cacheOf(2);
  cache.set('r1', 'a', entry('r1a'));
  cache.set('r2', 'a', entry('r2a'));
  cache.set('r2', 'b', entry('r2b'));
  t.deepEqual(dropped, ['r2a']);
});

test('never more than the bound, each is dropped once, and no run falls below its share by others', (t) => {
  const uses = fc.array(fc.record({ run: fc.integer({ min: 0, max: 4 }), host: fc.integer({ min: 0, max: 12 }) }), { maxLength: 300 });
  fc.assert(fc.property(uses, fc.integer({ min: 5, max: 20 }), (given, most) => {
    const { cache, dropped } = cacheOf(most);
    let made = 0;
    const held = new Map<string, string>();
    for (const { run, host } of given) {
      const key = `${run} ${host}`;
      if (cache.get(`${run}`, `${host}`, 's', 1) === undefined) {
        const context = `${made++}`;
        const before = new Map([0, 1, 2, 3, 4].map((one) => [one, [...held.keys()].filter((name) => name.startsWith(`${one} `)).length]));
        held.set(key, context);
        cache.set(`${run}`, `${host}`, entry(context));
        for (const [name, value] of held) if (dropped.includes(value)) held.delete(name);
        for (const [one, count] of before) {
          if (one !== run && count <= Math.floor(most / 5) && [...held.keys()].filter((name) => name.startsWith(`${one} `)).length < count) return false;
        }
      }
      if (cache.size > most || cache.size !== held.size || new Set(dropped).size !== dropped.length) return false;
    }
    return made === held.size + dropped.length;
  }));
  t.pass();
});
