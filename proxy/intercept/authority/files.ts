import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, linkSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, unlinkSync, writeFileSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { authorityError, fileError } from './failures.ts';

/**
 * The folder of authorities: one file, `authorities.<generation>.json`, of which the highest generation counts. A change is a new
 * generation under a name of its own, made whole beside and then linked: of several who want the same name the file system lets one.
 * So there is no lock that a dead process could leave, and no half of a change.
 */

const shape = /^authorities\.([1-9][0-9]{0,8})\.json$/;
const besideShape = /^\.[0-9a-f]{16}\.new$/;
/** Eight authorities need 10 KiB. */
const largestFile = 64 * 1024;
/** A reader may find that its file has just given way to the next; more than this often it doesn't. */
const mostTries = 20;
/** A file beside that is older was left by a process that was killed. */
const abandonedMs = 60_000;

export interface StateFile {
  readonly generation: number;
  readonly place: string;
  readonly text: string;
}

const fileOf = (folder: string, generation: number): string => join(folder, `authorities.${generation}.json`);
const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

function generations(folder: string): readonly number[] {
  return readdirSync(folder).flatMap((name) => shape.exec(name)?.[1] ?? []).map(Number).toSorted((one, other) => other - one);
}

/** The highest there is; 0 when there is none, or no folder. A look costs some 10 us. */
export function presentGeneration(folder: string): number {
  try {
    return generations(folder)[0] ?? 0;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw fileError(error, folder);
  }
}

/** What counts now; undefined when nothing was ever made. Throws `authority` when it may not be read as ours. */
export function readStateFile(folder: string): StateFile | undefined {
  try {
    const stats = lstatSync(folder, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    checkOurs(stats, folder, stats.isDirectory() ? undefined : 'is not a folder');
    for (let tries = 0; tries < mostTries; tries++) {
      const [generation] = generations(folder);
      if (generation === undefined) return undefined;
      const text = readOurs(fileOf(folder, generation));
      if (text !== undefined) return { generation, place: fileOf(folder, generation), text };
    }
  } catch (error) {
    throw fileError(error, folder);
  }
  throw authorityError(`${folder} changes faster than it can be read.`);
}

/** Undefined when the file has gone. */
function readOurs(file: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw fileError(error, file);
  }
  try {
    const stats = fstatSync(descriptor);
    checkOurs(stats, file, !stats.isFile() ? 'is not a file' : stats.size > largestFile ? `is larger than ${largestFile} bytes` : undefined);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

function checkOurs(stats: Stats, place: string, wrong: string | undefined): void {
  if (wrong !== undefined) throw authorityError(`${place} ${wrong}.`);
  const own = process.geteuid?.();
  if (stats.uid !== own) throw authorityError(`${place} belongs to uid ${stats.uid}, and this is uid ${own}.`);
  if ((stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    throw authorityError(`Others can reach ${place} (mode ${mode}): the authority's key may be known to them.`, undefined, [
      `If nobody has read it: chmod go= ${place}. Otherwise move the folder away, so that a new authority is made, and have clients forget the old one.`,
    ]);
  }
}

/** Writes the generation after `before` (0: the first); false when another process was faster, and nothing has changed. */
export function writeNext(folder: string, before: number, text: string): boolean {
  try {
    if (before === 0) makeFolder(folder);
    const next = fileOf(folder, before + 1);
    const beside = join(folder, `.${randomBytes(8).toString('hex')}.new`);
    try {
      writeSynced(beside, text);
      linkSync(beside, next);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      remove(beside);
    }
    syncFolder(folder);
    return settle(folder, before + 1);
  } catch (error) {
    throw fileError(error, folder);
  }
}

/**
 * The name may have been free because it had been used and given up already; then a higher one is there, since none goes before its
 * successor has come. With nothing higher this one counts, and those below go.
 */
function settle(folder: string, written: number): boolean {
  const all = generations(folder);
  if (all[0] !== written) {
    remove(fileOf(folder, written));
    return false;
  }
  for (const generation of all.slice(1)) remove(fileOf(folder, generation));
  for (const name of readdirSync(folder).filter((one) => besideShape.test(one))) {
    const stats = lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (stats !== undefined && Date.now() - stats.mtimeMs > abandonedMs) remove(join(folder, name));
  }
  return true;
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
    syncFolder(dirname(folder));
  } catch (error) {
    // Another process was faster, or something else is there, which reading it tells.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function writeSynced(file: string, text: string): void {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function remove(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
