import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Debian keeps servers, which the PATH of an ordinary user leaves out. */
const serverFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Absolute path of a program of PATH, or undefined where it isn't installed. */
export function programPath(name: string): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), ...serverFolders].filter((folder) => folder !== '').map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The first thing that looks like a version in what a program says of itself; '?' where it says none. */
export function versionOf(path: string, flag: string): string {
  const { stdout, stderr } = spawnSync(path, [flag], { encoding: 'utf8', timeout: 30_000 });
  return /\d+\.\d+[\w.-]*/.exec(`${stdout}${stderr}`)?.[0] ?? '?';
}
