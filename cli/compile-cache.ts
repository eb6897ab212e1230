import { lstatSync, mkdirSync, type Stats } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/**
 * Keeps compiled code between starts: types are stripped and modules compiled once. The cache is code, so it is used only in a
 * folder that nobody else may write: under `sudo` with the HOME of another person there is none.
 */
export function keepCompiledCode(cacheHome: string | undefined): void {
  const folder = cacheHome === undefined ? undefined : compileCacheFolder(cacheHome);
  if (folder !== undefined) enableCompileCache(folder);
}

/** The folder, made when it is missing; `undefined` when it can't be trusted or made. */
export function compileCacheFolder(cacheHome: string): string | undefined {
  try {
    mkdirSync(cacheHome, { recursive: true, mode: 0o700 });
    if (!isOwn(lstatSync(cacheHome))) return undefined;
    for (const folder of [join(cacheHome, 'sallyport'), join(cacheHome, 'sallyport', 'compiled')]) {
      try {
        mkdirSync(folder, { mode: 0o700 });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return undefined;
      }
      if (!isOwn(lstatSync(folder))) return undefined;
    }
    return join(cacheHome, 'sallyport', 'compiled');
  } catch {
    // Only a start that takes longer.
    return undefined;
  }
}

const isOwn = (stats: Stats): boolean => stats.isDirectory() && stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0;
