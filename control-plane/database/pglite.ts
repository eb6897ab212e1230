import { PGlite } from '@electric-sql/pglite';
import type { PGliteDialectConfig } from 'kysely';
import { parsers } from './codec.ts';

/** What a folder is made with: 16 MB of buffers instead of 128 take 150 MB off the process and a third off its start (measured). */
const settings = ['shared_buffers = 16MB', 'min_wal_size = 16MB', 'max_wal_size = 64MB'];
const initdbOptions = ['--wal-segsize=4'];

const byteaOid = 17;
/** PGlite's own writes byte by byte: 0.4 us each, 40 ms for a packed segment. */
const hexOf = (bytes: Uint8Array): string => `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`;

export interface PGliteDatabase {
  /** For Kysely's dialect, which a start has not loaded yet. */
  readonly client: PGliteDialectConfig['pglite'];
  close(): Promise<void>;
}

/**
 * The only place where PGlite enters. `folder` is made when missing (3.7 s: see template.ts); without one the database is in memory.
 * It has one connection and never calls fsync. One that is not closed keeps the process alive.
 */
export async function pgliteDatabase(folder: string | undefined): Promise<PGliteDatabase> {
  const pglite = new PGlite({
    ...(folder !== undefined && { dataDir: folder }),
    parsers: parsers as Record<number, (text: string) => unknown>,
    serializers: { [byteaOid]: hexOf },
    initDbStartParams: initdbOptions,
    postgresqlconf: settings,
  });
  await pglite.waitReady;
  return {
    client: pglite,
    close: async () => { if (!pglite.closed) await pglite.close(); },
  };
}

/** The databases that initdb makes beside ours are dead weight: 600 files that each first start would copy. */
export async function dropSpareDatabases(folder: string): Promise<void> {
  const pglite = await PGlite.create(folder);
  try {
    for (const name of ['template0', 'template1']) {
      await pglite.exec(`alter database ${name} is_template false`);
      await pglite.exec(`drop database ${name}`);
    }
    await pglite.exec('checkpoint');
  } finally {
    await pglite.close();
  }
}
