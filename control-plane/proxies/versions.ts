import type { Change } from '../change.ts';
import { incrementVersion } from './store.ts';

/**
 * The version of a change that proxies must hear of. Its row lock is held to the end of the transaction, so versions become visible in
 * their order and whoever has seen one has seen all before it. Take it late, after the session and the run.
 */
export async function nextVersion(change: Change): Promise<number> {
  change.signal('runs');
  return await incrementVersion(change.trx);
}
