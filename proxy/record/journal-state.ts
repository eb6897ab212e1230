import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const stateSchema = z.strictObject({
  /** All segments up to this one are sealed and deleted; -1 when none is. */
  through: z.int().min(-1),
  /** Digest of segment `through`, which the next one names as `previous`. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** Whether the journal was ended in order, by its worker or by the one that recovered it. */
  closed: z.boolean(),
  /** Exchanges that began in deleted segments and had not ended. */
  open: z.array(z.strictObject({ egress_id: z.string(), run_id: z.string() })),
});

/** What must be known of a journal beside the segments that are still there. */
export type JournalState = z.infer<typeof stateSchema>;

const file = (folder: string): string => join(folder, 'state.json');

/** Undefined when nothing has been deleted and the journal was not ended. */
export async function readJournalState(folder: string): Promise<JournalState | undefined> {
  let text: string;
  try {
    text = await readFile(file(folder), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return stateSchema.parse(JSON.parse(text));
}

/** Whole or not at all: written beside, synced, renamed. */
export async function writeJournalState(folder: string, state: JournalState): Promise<void> {
  const temporary = `${file(folder)}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify(state));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file(folder));
}
