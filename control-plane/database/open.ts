import { Kysely, PGliteDialect, sql } from 'kysely';
import type { Clock } from '../../contracts/clock.ts';
import { openEmbedded, type Embedded } from './embedded.ts';
import { toDatabaseError } from './failures.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/all.ts';
import type { Listening } from './postgres.ts';
import { syncFolder } from './sync-folder.ts';
import type { Tables } from './tables.ts';

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
  /** Gives the folder opened: for a start that has begun to open it already. */
  readonly embedded?: typeof openEmbedded | undefined;
}

/** Opens and migrates. Throws `database_unavailable`, `data_folder_in_use` or `configuration`. */
export async function openDatabase(location: DatabaseLocation, clock: Clock): Promise<Database> {
  const { url, folder, embedded = openEmbedded } = location;
  return url === undefined ? await migrateEmbedded(await embedded(folder), folder, clock) : await openPostgres(url, clock);
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

async function migrateEmbedded({ pglite, close: closeFolder }: Embedded, folder: string, clock: Clock): Promise<Database> {
  const kysely = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite: pglite.client }) });
  const close = async (): Promise<void> => {
    await kysely.destroy();
    await closeFolder();
  };
  try {
    await migrate(kysely, migrations, clock.now());
  } catch (error) {
    await close();
    throw error;
  }
  let synced = 0;
  const makeDurable = async (): Promise<void> => {
    // The file system's own clock, by which it stamps what was written.
    const started = Date.now();
    await sql`checkpoint`.execute(kysely);
    await syncFolder(folder, synced);
    synced = started;
  };
  return { kysely, shared: false, listen: undefined, makeDurable, close };
}
