import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const prefix = 'sallyport-jail-';
/** A group that nobody joined for so long belongs to a launcher that was killed before it could. */
const abandonedMs = 60_000;
/** Looked through for such. */
const mostSiblings = 256;
/** The kernel empties a group a little after its last process is gone. */
const removalTries = 50;

/** One control group made for one jail. */
export interface Group {
  readonly folder: string;
  /** Joins whoever writes `0` to it. */
  readonly procs: string;
}

/** Throws what the file system says (EACCES, EROFS, EBUSY) when this group cannot be had. */
export function makeGroup(parent: string, id: string, settings: Readonly<Record<string, string>>, optional: Readonly<Record<string, string>> = {}): Group {
  removeAbandoned(parent);
  const folder = join(parent, `${prefix}${id}`);
  mkdirSync(folder);
  try {
    for (const [name, value] of Object.entries(settings)) writeFileSync(join(folder, name), value);
    for (const [name, value] of Object.entries(optional)) if (existsSync(join(folder, name))) writeFileSync(join(folder, name), value);
  } catch (error) {
    rmdirSync(folder);
    throw error;
  }
  return { folder, procs: join(folder, 'cgroup.procs') };
}

/** `rmdir` refuses a group with processes in it, so a living jail's cannot be lost. */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent).filter((entry) => entry.startsWith(prefix)).slice(0, mostSiblings)) {
    try {
      if (Date.now() - statSync(join(parent, name)).ctimeMs > abandonedMs) rmdirSync(join(parent, name));
    } catch {
      // In use, or gone.
    }
  }
}

export async function removeGroup({ folder }: Group): Promise<boolean> {
  for (let tries = 0; tries < removalTries; tries += 1) {
    try {
      rmdirSync(folder);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return true;
      if (code !== 'EBUSY') return false;
    }
    await pause(Math.min(2 ** tries, 100));
  }
  return false;
}

/** The number after `key` in a file of `key number` lines; 0 when it says nothing. */
export function readCount(path: string, key: string): number {
  try {
    return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(readFileSync(path, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
