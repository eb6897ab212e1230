import type { Clock } from '../../contracts/clock.ts';

/** Tells how long it took, in milliseconds, and how it ended; what is waited for stays the same. */
export function timed<T>(clock: Clock, work: Promise<T>, tell: (took_ms: number, outcome: 'answered' | 'failed') => void): Promise<T> {
  const began = clock.monotonic();
  const over = (outcome: 'answered' | 'failed') => (): void => { tell(clock.monotonic() - began, outcome); };
  work.then(over('answered'), over('failed'));
  return work;
}
