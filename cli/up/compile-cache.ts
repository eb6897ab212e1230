import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';

/** For child processes: the folder that start.cjs found fit, so that their first module comes from it too. */
export function compileCacheVariable(): Readonly<Record<string, string>> {
  const folder = getCompileCacheDir();
  // Node puts a folder of its own for each version below the one that it is given.
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
}
