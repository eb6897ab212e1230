import { statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { Account } from './identity.ts';

/**
 * Whether `account` can walk to `path` (absolute, without links): each folder above it must let it pass. By the modes alone; an
 * access list may say more, and is then not believed.
 */
export function canReach(path: string, account: Account, look: (path: string) => Pick<Stats, 'mode' | 'uid' | 'gid'> = statSync): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (!allows(look(folder), account, 0o1)) return false;
    if (folder === '/') return true;
  }
}

/** Whether its mode lets `account` read (4), write (2) or pass (1); any sum of them. */
export function allows(stats: Pick<Stats, 'mode' | 'uid' | 'gid'>, { uid, gid }: Account, wanted: number): boolean {
  const shift = stats.uid === uid ? 6 : stats.gid === gid ? 3 : 0;
  return ((stats.mode >> shift) & wanted) === wanted;
}
