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

/** Smaller ones are not worth the call. */
const freedBytes = 4096;

/**
 * Frees the memory of a read that Node made a fresh buffer for (it takes none of ours for sockets that came in) as soon as it was written,
 * instead of at the next full collection. Nobody may look at `bytes` any more; a part of a read is left to the collector.
 */
export function freeRead(bytes: Buffer): void {
  const { buffer } = bytes;
  if (bytes.length >= freedBytes && bytes.length === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
