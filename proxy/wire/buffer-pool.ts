/** A full read and the head or chunk size before it. */
export const pooledBytes = 65_536 + 1024;
/** Kept for later; beyond it they are left to the collector. */
const keptMax = 256;

/**
 * Large buffers that are used again. Memory outside V8's heap makes it collect: one fresh 64 KiB for each that passes meant some six full
 * collections a second in bulk, and half of the processor's time.
 *
 * Whoever gives one back must be sure that nothing reads it any more: no write is pending that holds a part of it.
 */
const free: Buffer[] = [];

export function borrowBuffer(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(pooledBytes);
}

export function giveBackBuffer(buffer: Buffer): void {
  if (free.length < keptMax) free.push(buffer);
}
