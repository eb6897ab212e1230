import type { Clock, Timer } from '../../contracts/clock.ts';

export interface TestClock extends Clock {
  /** Moves time on and runs what falls due, in order of its instant; what those start and fall due in the same span runs too. */
  advance(milliseconds: number): void;
  /** Sets the wall clock without passing time: a step, as NTP or an operator makes. No timer moves. */
  step(milliseconds: number): void;
  /** How many timers wait. */
  readonly waiting: number;
}

interface Waiting {
  readonly due: number;
  readonly order: number;
  readonly fn: () => void;
}

export function testClock(start: number = Date.UTC(2031, 0, 1)): TestClock {
  let elapsed = 0;
  let offset = start;
  let order = 0;
  const timers = new Set<Waiting>();

  const nextDue = (limit: number): Waiting | undefined => {
    let first: Waiting | undefined;
    for (const timer of timers) {
      if (timer.due > limit) continue;
      if (first === undefined || timer.due < first.due || (timer.due === first.due && timer.order < first.order)) first = timer;
    }
    return first;
  };

  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    setTimeout(fn, milliseconds): Timer {
      const timer: Waiting = { due: elapsed + Math.max(0, Math.ceil(milliseconds)), order: order++, fn };
      timers.add(timer);
      return { cancel: () => { timers.delete(timer); } };
    },
    advance(milliseconds) {
      const end = elapsed + milliseconds;
      for (let timer = nextDue(end); timer !== undefined; timer = nextDue(end)) {
        timers.delete(timer);
        elapsed = Math.max(elapsed, timer.due);
        timer.fn();
      }
      elapsed = end;
    },
    step(milliseconds) {
      offset += milliseconds;
    },
    get waiting() {
      return timers.size;
    },
  };
}
