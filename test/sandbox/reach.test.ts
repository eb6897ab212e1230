import test from 'ava';
import { canReach } from '../../sandbox/reach.ts';

const folders: Readonly<Record<string, { mode: number; uid: number; gid: number }>> = {
  '/': { mode: 0o40755, uid: 0, gid: 0 },
  '/root': { mode: 0o40700, uid: 0, gid: 0 },
  '/root/project': { mode: 0o40755, uid: 5, gid: 6 },
  '/srv': { mode: 0o40755, uid: 0, gid: 0 },
  '/srv/team': { mode: 0o42770, uid: 0, gid: 6 },
  '/srv/mine': { mode: 0o40700, uid: 5, gid: 0 },
  '/srv/odd': { mode: 0o40055, uid: 5, gid: 0 },
};
const look = (path: string): { mode: number; uid: number; gid: number } => folders[path] ?? { mode: 0, uid: 0, gid: 0 };

const table: readonly (readonly [string, number, number, boolean])[] = [
  ['/srv/x', 5, 6, true],
  ['/root/project/x', 5, 6, false],
  ['/root/project', 5, 6, false],
  ['/srv/team/x', 5, 6, true],
  ['/srv/team/x', 5, 7, false],
  ['/srv/mine/x', 5, 7, true],
  ['/srv/mine/x', 8, 7, false],
  // The owner's bits count for the owner alone, even where others have more.
  ['/srv/odd/x', 5, 0, false],
  ['/srv/odd/x', 8, 0, true],
];

for (const [path, uid, gid, expected] of table) test(`uid ${uid}, gid ${gid} can${expected ? '' : 'not'} walk to ${path}`, (t) => t.is(canReach(path, { uid, gid }, look as never), expected));
