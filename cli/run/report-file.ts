import { randomBytes } from 'node:crypto';
import { accessSync, closeSync, constants, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';

export interface ReportFile {
  write(text: string): void;
  close(): void;
}

/**
 * A file that is written after an agent has run, perhaps in the folder that the agent could write to. Its folder is opened before,
 * and the file put in its place by a rename there: a link that the agent planted is replaced, never followed.
 */
export function openReportFile(path: string): ReportFile {
  const full = resolve(path);
  let folder: number;
  try {
    folder = openSync(dirname(full), constants.O_RDONLY | constants.O_DIRECTORY);
    accessSync(dirname(full), constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new SallyportError('usage', `--report ${path}: its folder cannot be written to.`, { cause });
  }
  const inside = (name: string): string => join(`/proc/self/fd/${folder}`, name);
  return {
    write(text) {
      const temporary = inside(`.${basename(full)}.${randomBytes(6).toString('hex')}`);
      try {
        writeFileSync(temporary, text, { flag: 'wx', mode: 0o600 });
        renameSync(temporary, inside(basename(full)));
      } catch (cause) {
        rmSync(temporary, { force: true });
        const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
        throw new SallyportError(full ? 'disk_full' : 'internal', `The report could not be written to ${path}: ${(cause as Error).message}.`, { cause });
      }
    },
    close: () => closeSync(folder),
  };
}
