import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Kysely, PGliteDialect } from 'kysely';
import { systemClock } from '../../contracts/clock.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/all.ts';
import { dropSpareDatabases, pgliteDatabase } from './pglite.ts';
import type { Tables } from './tables.ts';
import { stampFile, templateData, templateFolder, templateStamp } from './template.ts';

/** Makes the template folder; does nothing when a fitting one is there. Gives whether it made one. */
export async function makeTemplate(folder: string = templateFolder): Promise<boolean> {
  const stamp = await templateStamp();
  if (await readStamp(folder) === stamp) return false;
  const unfinished = `${folder.replace(/\/$/, '')}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(join(unfinished), { recursive: true, mode: 0o700 });
  const data = join(unfinished, templateData);
  const pglite = await pgliteDatabase(data);
  try {
    await migrate(new Kysely<Tables>({ dialect: new PGliteDialect({ pglite: pglite.client }) }), migrations, systemClock.now());
  } finally {
    await pglite.close();
  }
  await dropSpareDatabases(data);
  await writeFile(join(unfinished, stampFile), stamp);
  await mkdir(dirname(folder), { recursive: true });
  await replace(folder, unfinished, stamp);
  return true;
}

async function replace(folder: string, made: string, stamp: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
    await rename(made, folder);
  } catch (error) {
    // Another process has just put its own there, which is as good.
    await rm(made, { recursive: true, force: true });
    if (await readStamp(folder) !== stamp) throw error;
  }
}

async function readStamp(folder: string): Promise<string> {
  return await readFile(join(folder, stampFile), 'utf8').catch(() => '');
}

if (import.meta.main) await makeTemplate();
