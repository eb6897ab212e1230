import { closeSync, constants, fstatSync, openSync, readSync, readlinkSync } from 'node:fs';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/**
 * The one way in which the host reads what an agent wrote: no link followed, no FIFO waited for, a regular file with one name,
 * which really lies in `folder` (a real path). `undefined` for anything else, and for more than `most` bytes.
 */
export function safeRead(folder: string, path: string, most: number): Buffer | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.nlink !== 1 || stats.size > most) return undefined;
    if (!readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(`${folder}/`)) return undefined;
    // One byte more tells a file that has grown since.
    const bytes = Buffer.alloc(stats.size + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) read = readSync(descriptor, bytes, length, bytes.length - length, null);
    return length > stats.size ? undefined : bytes.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}
