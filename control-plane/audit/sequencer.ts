import { append, restoreFrontier, rootOf, type Frontier } from '../../contracts/merkle-tree.ts';
import type { ChainHead } from '../../contracts/run-api.ts';
import { makeChange } from '../change.ts';
import { startLoop, type Loop } from '../loop.ts';
import type { Services } from '../services.ts';
import { hasUnnumbered, lockTree, numberEntries, selectTree, updateTree, type Tree } from './store.ts';

/** Entries that one transaction numbers. */
const batch = 5_000;
/** Entries of another replica that ended meanwhile are found by this. */
const everyMs = 1_000;

function frontierOf({ size, frontier }: Pick<Tree, 'size' | 'frontier'>): Frontier {
  return restoreFrontier(size, frontier.map((hash) => Uint8Array.from(Buffer.from(hash, 'hex'))));
}

export function headOf(tree: Tree): ChainHead {
  return { size: tree.size, root: Buffer.from(rootOf(frontierOf(tree))).toString('hex'), incarnation: tree.incarnation };
}

/** Gives every entry that has no place in the tree yet its place. Gives how many there were. */
export async function sequence(services: Services): Promise<number> {
  let numbered = 0;
  for (;;) {
    const count = await makeChange(services, async (change) => {
      const tree = await lockTree(change.trx);
      const entries = await numberEntries(change.trx, tree.size, batch);
      if (entries.length === 0) return 0;
      const frontier = entries.reduce((whole, { leaf }) => append(whole, Uint8Array.from(Buffer.from(leaf, 'hex'))), frontierOf(tree));
      await updateTree(change.trx, frontier.size, frontier.hashes.map((hash) => Buffer.from(hash).toString('hex')));
      change.signal('sequenced');
      return entries.length;
    });
    numbered += count;
    if (count < batch) return numbered;
  }
}

/** Any number of replicas may run it: the tree's row is locked by one at a time. */
export function startSequencer(services: Services): Loop {
  return startLoop(services, { name: 'sequencer', every: everyMs, on: ['entries'], round: async () => {
    if (await hasUnnumbered(services.database.kysely)) await sequence(services);
  } });
}

export async function chainHead(services: Services): Promise<ChainHead> {
  return headOf(await selectTree(services.database.kysely));
}
