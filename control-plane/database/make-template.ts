import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Kysely } from 'kysely';
import { systemClock } from '../../contracts/clock.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/all.ts';
import { dropSpareDatabases, pgliteDatabase } from './pglite.ts';
import type { Tables } from './tables.ts';
import { stampFile, templateData, templateFolder, templateStamp } from './template.ts';

/** Makes the template folder; does nothing when a fitting one is there. Gives whether it made one. */
export async function makeTemplate(folder: string = templateFolder): Promise<boolean> {
  const stamp = await templateStamp();
  if (await readFile(join(folder, stampFile), 'utf8').catch(() => '') === stamp) return false;
  const unfinished = `${folder.replace(/\/$/, '')}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(join(unfinished), { recursive: true, mode: 0o700 });
  const data = join(unfinished, templateData);
  const pglite = await pgliteDatabase(data);
  try {
    await migrate(new Kysely<Tables>({ dialect: pglite.dialect }), migrations, systemClock.now());
  } finally {
    await pglite.close();
  }
  await dropSpareDatabases(data);
  await writeFile(join(unfinished, stampFile), stamp);
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
  await rename(unfinished, folder);
  return true;
}

if (import.meta.main) await makeTemplate();
