import { systemClock, type Clock } from '../../contracts/clock.ts';

/** Time that passes `factor` times as fast to who waits, for limits of seconds and minutes; the time of day stays what it is. */
export function fastClock(factor: number): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() * factor,
    setTimeout: (fn, milliseconds, options) => systemClock.setTimeout(fn, milliseconds / factor, options),
  };
}
