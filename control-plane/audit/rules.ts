import { SallyportError } from '../../contracts/errors.ts';
import type { ChainHead } from '../../contracts/run-api.ts';
import type { SealedHead } from '../../contracts/seal.ts';

/** A busy chain is sealed after this many milliseconds or events, an idle one after the longer time. */
const busySealMs = 10_000;
const busySealEvents = 10_000;
const idleSealMs = 3600 * 1000;

export interface SealState {
  readonly now: number;
  readonly size: number;
  readonly last: { readonly size: number; readonly at: number } | undefined;
  /** Events that entered the tree since the last seal. */
  readonly events: number;
  /** When a run last changed its state. */
  readonly lastTransition: number | undefined;
}

/** Whether a seal is due. A run's end is worth one of its own: what it did is then beyond dispute. */
export function sealDue({ now, size, last, events, lastTransition }: SealState): boolean {
  if (last === undefined) return size > 0;
  const age = now - last.at;
  if (size === last.size) return age >= idleSealMs;
  // A clock that was set back must not put sealing off.
  return age < 0 || age >= busySealMs || events >= busySealEvents || (lastTransition !== undefined && lastTransition >= last.at);
}

/**
 * The database's chain against the last seal that lies outside of it. Another incarnation is another history. Throws
 * `chain_conflict` for a tree that has lost or changed what was sealed.
 */
export function checkAgainstSeal(head: ChainHead, seal: SealedHead | undefined): void {
  if (seal === undefined || seal.incarnation !== head.incarnation) return;
  if (head.size < seal.size) {
    throw new SallyportError('chain_conflict', `The database's chain has ${head.size} entries, but its last seal covers ${seal.size}: entries are missing.`);
  }
  if (head.size === seal.size && Buffer.from(seal.root).toString('hex') !== head.root) {
    throw new SallyportError('chain_conflict', `The database's chain of ${head.size} entries is not the one that its last seal covers.`);
  }
}
