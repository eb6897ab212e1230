import { closeSync, constants, fstatSync, lstatSync, openSync, opendirSync, type Stats } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** Deeper folders are not entered: each level holds a descriptor. */
const deepest = 64;
/** Entries looked at before others get a turn: about a millisecond. */
const entriesPerTurn = 200;

export interface TreeEntry {
  /** Relative to the root of the walk. */
  readonly path: string;
  /** A way to the entry that no rename above it can change, while the visit lasts. */
  readonly place: string;
  readonly stats: Stats;
}

export interface WalkBounds {
  readonly entries: number;
  /** Asked once a turn; true ends the walk. */
  readonly isOver: () => boolean;
}

/**
 * Visits what is below a folder that someone else may be changing at the same time: each folder is opened without following
 * links, and its entries are reached through its descriptor, so that the walk never leaves the tree. It stays on one file system.
 * Gives false when a bound cut it short, or when a folder could not be opened.
 */
export async function walkTree(root: string, bounds: WalkBounds, visit: (entry: TreeEntry) => void): Promise<boolean> {
  let left = bounds.entries;
  let isComplete = true;
  const device = lstatSync(`${root}/.`).dev;

  const enter = async (folder: string, path: string, depth: number): Promise<void> => {
    let descriptor: number;
    try {
      descriptor = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
    } catch {
      // Unreadable, or no longer the folder it was.
      isComplete = false;
      return;
    }
    try {
      if (fstatSync(descriptor).dev !== device) return;
      const here = `/proc/self/fd/${descriptor}`;
      const listing = opendirSync(here);
      try {
        for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
          left -= 1;
          if (left < 0) {
            isComplete = false;
            return;
          }
          if (left % entriesPerTurn === 0) {
            await nextTurn();
            if (bounds.isOver()) left = 0;
          }
          const place = `${here}/${entry.name}`;
          const stats = lstatSync(place, { throwIfNoEntry: false });
          if (stats === undefined) continue;
          const below = path === '' ? entry.name : `${path}/${entry.name}`;
          visit({ path: below, place, stats });
          if (!stats.isDirectory()) continue;
          if (depth < deepest) await enter(place, below, depth + 1);
          else isComplete = false;
        }
      } finally {
        listing.closeSync();
      }
    } finally {
      closeSync(descriptor);
    }
  };

  await enter(`${root}/.`, '', 0);
  return isComplete;
}
