import type { Lifetime } from '../test/helpers/lifetime.ts';

/** What the demo starts, ended in reverse order. */
export function demoLifetime(): Lifetime & { end(): Promise<void> } {
  const teardowns: (() => unknown)[] = [];
  return {
    teardown: (fn) => { teardowns.push(fn); },
    async end() {
      for (const teardown of teardowns.splice(0).toReversed()) await teardown();
    },
  };
}
