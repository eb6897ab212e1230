import { lstatSync, mkdirSync, readdirSync, statSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';
import { escapeText } from '../text.ts';
import { runSocketName } from '../../contracts/run-socket.ts';
import { runSocketFolder } from '../data-folder-paths.ts';

/** `sun_path` holds 108 bytes with its final zero; a longer path is EINVAL at the first run, so it is refused at the start. */
const longestSocketPath = 107;
/** At most this many characters name a run's socket, with the last slot that there may be. */
const longestName = runSocketName('x'.repeat(24), 999);

/** Makes the data folder, or checks the one that is there: ours alone, and nothing else than a data folder. */
export function prepareDataFolder(folder: string): void {
  const shown = escapeText(folder);
  checkLength(folder, shown);
  try {
    makeFolder(folder);
    inspectDataFolder(folder);
    for (const name of ['s', 'log']) mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw folderError(error, shown);
  }
}

/** Not by `recursive`: Node tries for ever where a folder that is there takes no new one and says ENOENT, as in /proc. */
function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another process was faster; what it made is looked at by the caller.
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}

/** Throws what is wrong with the folder; false when there is none yet. */
export function inspectDataFolder(folder: string): boolean {
  const shown = escapeText(folder);
  checkLength(folder, shown);
  try {
    const stats = lstatSync(folder, { throwIfNoEntry: false });
    if (stats === undefined) return false;
    check(stats, shown);
    if (readdirSync(folder).length > 0 && !holdsOurs(folder)) {
      throw new SallyportError('data_folder', `The data folder ${shown} holds other files, and nothing of Sallyport's.`);
    }
    return true;
  } catch (error) {
    throw folderError(error, shown);
  }
}

function checkLength(folder: string, shown: string): void {
  if (Buffer.byteLength(join(runSocketFolder(folder), longestName)) > longestSocketPath) {
    throw new SallyportError('data_folder', `The path of the data folder is too long for the sockets in it: ${shown}.`);
  }
}

function check(stats: Stats, shown: string): void {
  if (!stats.isDirectory()) throw new SallyportError('data_folder', `The data folder ${shown} is not a folder.`);
  const own = process.geteuid?.();
  if (stats.uid !== own) throw new SallyportError('data_folder', `The data folder ${shown} belongs to uid ${stats.uid}, and this is uid ${own}.`);
  if ((stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    throw new SallyportError('data_folder', `Others can reach into the data folder ${shown} (mode ${mode}).`, { next_steps: [`chmod 700 ${shown}`] });
  }
}

function holdsOurs(folder: string): boolean {
  return ['lock', 'log', 'postgres', 'journal', 'keys'].some((name) => lstatSync(join(folder, name), { throwIfNoEntry: false }) !== undefined);
}

/** What the system says about a folder, as one of our own errors. */
export function folderError(thrown: unknown, shown: string): SallyportError {
  if (thrown instanceof SallyportError) return thrown;
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new SallyportError('disk_full', `There is no space left for the data folder ${shown}.`, { cause: thrown });
  const why = code === 'EACCES' || code === 'EPERM' ? 'no permission' : code === 'EROFS' ? 'a read-only file system'
    : code === 'ENOTDIR' || code === 'EEXIST' ? 'a file is in the way' : code === 'ENOENT' ? 'no folder can be made there' : message;
  return new SallyportError('data_folder', `The data folder ${shown} cannot be made or used: ${why}.`, { cause: thrown });
}
