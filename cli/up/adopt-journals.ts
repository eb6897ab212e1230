import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { isId } from '../../contracts/ids.ts';
import { lockSlot } from '../../proxy/record/slot-lock.ts';

/**
 * Fewer workers than before: what the slots of the others still hold is moved to the first, whose worker ends and ships it. Left alone it
 * would keep units of budgets reserved, and be missing in the chain. A rename is whole or not done, so a crash here costs nothing.
 */
export async function adoptJournals(dataFolder: string, workers: number): Promise<void> {
  const all = join(dataFolder, 'journal');
  if (!existsSync(all)) return;
  const first = join(all, '0');
  for (const slot of readdirSync(all).filter((name) => /^[1-9][0-9]{0,2}$/.test(name) && Number(name) >= workers)) {
    const journals = readdirSync(join(all, slot)).filter((name) => isId('journal', name));
    if (journals.length === 0) continue;
    // A worker whose supervisor was killed may need a moment to be gone.
    const lock = await lockSlot(join(all, `${slot}.lock`));
    mkdirSync(first, { recursive: true, mode: 0o700 });
    for (const name of journals) renameSync(join(all, slot, name), join(first, name));
    lock.release();
  }
}
