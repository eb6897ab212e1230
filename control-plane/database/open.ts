import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Kysely, sql } from 'kysely';
import type { Clock } from '../../contracts/clock.ts';
import { toDatabaseError } from './failures.ts';
import { lockFile } from './folder-lock.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/all.ts';
import type { Listening } from './postgres.ts';
import { syncFolder } from './sync-folder.ts';
import type { Tables } from './tables.ts';
import { copyTemplate } from './template.ts';

export interface Database {
  readonly kysely: Kysely<Tables>;
  /** Whether other replicas may work on the same database. */
  readonly shared: boolean;
  /** Until it returns, what was committed may be lost with the power (PGlite); on Postgres a commit is already safe. */
  makeDurable(): Promise<void>;
  /** NOTIFY of other replicas; `undefined` where there are none. */
  readonly listen: ((channel: string, heard: () => void, lost: () => void) => Promise<Listening>) | undefined;
  close(): Promise<void>;
}

export interface DatabaseLocation {
  /** A Postgres database; without it, PGlite in `folder`. */
  readonly url?: string | undefined;
  readonly folder: string;
}

/** Opens and migrates. Throws `database_unavailable`, `data_folder_in_use` or `configuration`. */
export async function openDatabase(location: DatabaseLocation, clock: Clock): Promise<Database> {
  return location.url === undefined ? await openEmbedded(location.folder, clock) : await openPostgres(location.url, clock);
}

async function openPostgres(url: string, clock: Clock): Promise<Database> {
  const { postgresDatabase } = await import('./postgres.ts');
  const { dialect, listen } = postgresDatabase(url);
  const kysely = new Kysely<Tables>({ dialect });
  try {
    await migrate(kysely, migrations, clock.now());
  } catch (error) {
    await kysely.destroy();
    throw toDatabaseError(error);
  }
  return { kysely, shared: true, makeDurable: async () => { /* Postgres has synced each commit. */ }, listen, close: () => kysely.destroy() };
}

async function openEmbedded(folder: string, clock: Clock): Promise<Database> {
  const lock = await lockFile(`${folder}.lock`);
  try {
    // The copy runs on the file threads while the main one loads the WASM module's code.
    const [{ pgliteDatabase }] = await Promise.all([import('./pglite.ts'), copyTemplate(folder)]);
    // PGlite leaves this behind when killed, and takes it for another process of the same id.
    await rm(join(folder, 'postmaster.pid'), { force: true });
    const pglite = await pgliteDatabase(folder);
    const kysely = new Kysely<Tables>({ dialect: pglite.dialect });
    let synced = 0;
    const close = async (): Promise<void> => {
      await kysely.destroy();
      await pglite.close();
      lock.release();
    };
    try {
      await migrate(kysely, migrations, clock.now());
    } catch (error) {
      await close();
      throw error;
    }
    return {
      kysely,
      shared: false,
      listen: undefined,
      close,
      makeDurable: async () => {
        const started = Date.now();
        await sql`checkpoint`.execute(kysely);
        await syncFolder(folder, synced);
        synced = started;
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
