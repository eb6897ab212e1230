import test from 'ava';

/** Whatever ends: a test (`t`), or a whole test file. What was registered last is torn down first. */
export interface Lifetime {
  teardown(fn: () => unknown): void;
}

/** For what a whole file shares. AVA's `t.teardown` in a `before` hook would end it with the hook. */
export function fileLifetime(): Lifetime {
  const teardowns: (() => unknown)[] = [];
  test.after.always('end what this file started', async () => {
    for (const teardown of teardowns.toReversed()) await teardown();
  });
  return { teardown: (fn) => { teardowns.push(fn); } };
}
