import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { lockFile } from './folder-lock.ts';
import type { PGliteDatabase } from './pglite.ts';
import { copyTemplate } from './template.ts';

/** An opened PGlite folder that nobody else has. */
export interface Embedded {
  readonly pglite: PGliteDatabase;
  close(): Promise<void>;
}

/**
 * Opens PGlite in `folder`, which is made from the template when it is not there. Needs nothing of Kysely or the API: a start loads
 * those while the WASM module is compiled beside. Throws `data_folder_in_use`.
 */
export async function openEmbedded(folder: string): Promise<Embedded> {
  const lock = await lockFile(`${folder}.lock`);
  try {
    const [{ pgliteDatabase }] = await Promise.all([import('./pglite.ts'), copyTemplate(folder)]);
    // PGlite leaves this behind when killed, and takes it for another process of the same id.
    await rm(join(folder, 'postmaster.pid'), { force: true });
    const pglite = await pgliteDatabase(folder);
    return {
      pglite,
      close: async () => {
        await pglite.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
