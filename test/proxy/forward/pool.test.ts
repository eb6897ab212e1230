import test from 'ava';
import { forwardLimits } from '../../../proxy/forward/limits.ts';
import { UpstreamPool } from '../../../proxy/forward/pool.ts';
import type { Upstream } from '../../../proxy/forward/upstream.ts';

/** What the pool sees of a connection. */
class Idle {
  readonly address = '192.0.2.1';
  readonly socket = { isPaused: (): boolean => false };
  usable = true;
  destroyed = false;
  onIdleClose: (() => void) | undefined;
  release(): void { /* Nobody had it. */ }
  expect(): void { /* No clock. */ }
  destroy(): void { this.destroyed = true; }
}
const named = [{ address: '192.0.2.1', family: 4, address_class: 'global' }] as const;

function make(limits: Partial<typeof forwardLimits> = {}): { readonly put: (key: string) => Idle; readonly take: (key: string) => unknown; readonly pool: UpstreamPool } {
  const pool = new UpstreamPool({ ...forwardLimits, ...limits });
  return {
    pool,
    put: (key) => {
      const idle = new Idle();
      pool.put(key, idle as unknown as Upstream);
      return idle;
    },
    take: (key) => pool.take(key, named),
  };
}

test('the connection used last is taken first, and only under its own key', (t) => {
  const { put, take } = make();
  const [first, second] = [put('a'), put('a')];
  t.is(take('b'), undefined);
  t.is(take('a'), second);
  t.is(take('a'), first);
  t.is(take('a'), undefined);
  const third = put('a');
  t.is(take('a'), third);
});

test('one more than a key or the worker may keep is closed', (t) => {
  const { put } = make({ pooled_per_key: 2, pooled: 3 });
  t.deepEqual([put('a'), put('a'), put('a'), put('b'), put('b'), put('c')].map(({ destroyed }) => destroyed), [false, false, true, false, true, true]);
});

test('keys that come once each do not push out those that are in use, and all of them can be used again', (t) => {
  const { put, take } = make({ pooled: 4 });
  const kept = put('kept');
  for (let count = 0; count < 100; count++) {
    const idle = put(`key ${count}`);
    t.is(take(`key ${count}`), idle);
  }
  const again = put('key 0');
  t.is(take('key 0'), again);
  t.is(take('kept'), kept);
});

test('a connection that ends while nobody uses it is not given out, and a closed pool keeps none', (t) => {
  const { put, take, pool } = make();
  const gone = put('a');
  gone.onIdleClose?.();
  t.is(take('a'), undefined);
  const dead = put('a');
  dead.usable = false;
  t.is(take('a'), undefined);
  t.true(dead.destroyed);
  const idle = put('a');
  pool.close();
  t.true(idle.destroyed);
  t.true(put('a').destroyed);
});
