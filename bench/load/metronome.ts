import { parentPort, workerData } from 'node:worker_threads';

/**
 * Ticks at `start + n * period` (nanoseconds of the monotonic clock). A thread that waits so is some 0.1 ms late, where Node's timers,
 * which count whole milliseconds, would be 1 ms late.
 */
const { start, period } = workerData as { readonly start: bigint; readonly period: number };
const nobody = new Int32Array(new SharedArrayBuffer(4));

for (let tick = 0; ; tick++) {
  const due = start + BigInt(Math.round(tick * period));
  const leftMs = Number(due - process.hrtime.bigint()) / 1e6;
  if (leftMs > 0) Atomics.wait(nobody, 0, 0, leftMs);
  // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none.
  parentPort!.postMessage(0);
}
