/** Something that will happen once. Cancelling twice, or after it happened, does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as an argument: code that waits or stamps takes a `Clock`, so that tests own the time.
 *
 * `now` is wall time in milliseconds since 1970 and may step in either direction; `monotonic` is milliseconds from an arbitrary
 * start, never steps back, and is what durations and deadlines are measured with.
 */
export interface Clock {
  now(): number;
  monotonic(): number;
  /** Calls `fn` once, `milliseconds` from now (rounded up, at least 0). `background: true` does not keep the process alive. */
  setTimeout(fn: () => void, milliseconds: number, options?: { readonly background?: boolean }): Timer;
}

/** Node turns a longer delay into 1 ms, so longer ones are waited for in pieces. */
const longestDelay = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(fn, milliseconds, options) {
    const due = performance.now() + milliseconds;
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      const left = Math.ceil(due - performance.now());
      handle = setTimeout(left > longestDelay ? arm : fn, Math.max(0, Math.min(left, longestDelay)));
      if (options?.background === true) handle.unref();
    };
    arm();
    return { cancel: () => clearTimeout(handle) };
  },
};
