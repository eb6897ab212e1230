import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Enough to keep Node's four file threads busy. */
const atOnce = 8;
/** File times are coarser than the clock. */
const slackMs = 2_000;

/**
 * fsync of every file below `folder` that was written at `since` (milliseconds since 1970) or later, and of its folder: PGlite
 * itself never calls it. Untouched files are left alone because an fsync of a clean one still flushes the disk's cache.
 */
export async function syncFolder(folder: string, since: number): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const paths = [folder, ...entries.map((entry) => join(entry.parentPath, entry.name))];
  const next = paths.values();
  const worker = async (): Promise<void> => {
    for (const path of next) {
      if (await writtenSince(path, since - slackMs)) await syncPath(path);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function writtenSince(path: string, since: number): Promise<boolean> {
  try {
    return (await stat(path)).mtimeMs >= since;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** fsync of one file or folder; one that is gone meanwhile needs none. */
export async function syncPath(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
