import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { SallyportError } from '../../contracts/errors.ts';

export interface SlotLock {
  release(): void;
}

const usualWaitMs = 10_000;
const retryMs = 25;
/** SQLITE_BUSY, https://sqlite.org/rescode.html */
const busy = 5;

/**
 * Holds a worker's slot until released or the process ends, however it ends: Node has no flock, and the kernel frees SQLite's lock
 * with the process. Two workers on one slot would recover each other's open journal. A worker whose supervisor died needs a
 * moment to end, so this waits up to 10 s, then throws `data_folder_in_use`.
 */
export async function lockSlot(file: string, waitMs: number = usualWaitMs): Promise<SlotLock> {
  const deadline = performance.now() + waitMs;
  const database = new DatabaseSync(file);
  for (;;) {
    try {
      database.exec('begin exclusive');
      return { release: () => { if (database.isOpen) database.close(); } };
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== busy || performance.now() > deadline) {
        database.close();
        throw new SallyportError('data_folder_in_use', `Another proxy worker holds the slot ${file}.`, { cause: error });
      }
      await pause(retryMs);
    }
  }
}
