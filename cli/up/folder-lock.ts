import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { lockFile } from '../data-folder-paths.ts';
import { folderError } from './data-folder.ts';

export interface FolderLock {
  release(): void;
}

/**
 * Takes the data folder, or gives `undefined` when another process has it. Node has no flock; an exclusive SQLite transaction is
 * a lock that the kernel frees with the process, by SIGKILL as well, so there is never a stale one.
 */
export function takeFolderLock(folder: string): FolderLock | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(lockFile(folder));
    chmodSync(lockFile(folder), 0o600);
    database.exec('begin exclusive');
    const held = database;
    return { release: () => held.close() };
  } catch (error) {
    database?.close();
    if ((error as { readonly errcode?: number }).errcode === sqliteBusy) return undefined;
    throw folderError(error, folder);
  }
}

const sqliteBusy = 5;
