import { basename, dirname } from 'node:path';
import { walkTree, type WalkBounds } from './tree.ts';

/** Names that a survey keeps of each kind. */
const mostNames = 16;
/** Repositories that it keeps; with more it is not complete. */
const mostRepositories = 64;

/** What lies in a work folder, as far as the walk came. */
export interface Survey {
  readonly isComplete: boolean;
  /** On disk, each file once. */
  readonly bytes: number;
  readonly entries: number;
  readonly sockets: readonly string[];
  readonly setIdFiles: readonly string[];
  /** Folders, below the root, that git would take for a repository: `x/.git`, or a bare one. */
  readonly repositories: readonly string[];
}

export async function surveyFolder(root: string, bounds: WalkBounds): Promise<Survey> {
  let bytes = 0;
  let entries = 0;
  const linked = new Set<number>();
  const sockets: string[] = [];
  const setIdFiles: string[] = [];
  const repositories = new Set<string>();
  const heads = new Set<string>();
  const keep = (list: string[], path: string): void => {
    if (list.length < mostNames) list.push(path);
  };
  const isComplete = await walkTree(root, bounds, ({ path, stats }) => {
    entries += 1;
    if (stats.nlink === 1 || stats.isDirectory() || !linked.has(stats.ino)) bytes += stats.blocks * 512;
    if (stats.nlink > 1 && !stats.isDirectory()) linked.add(stats.ino);
    if (stats.isSocket()) keep(sockets, path);
    if (stats.isFile() && (stats.mode & 0o6000) !== 0) keep(setIdFiles, path);
    const name = basename(path);
    if (name === '.git' && path !== '.git') repositories.add(path);
    // A bare repository is known by HEAD, objects and refs side by side; git looks for no more.
    if (name === 'HEAD' && heads.size < 1000) heads.add(dirname(path));
    if (name === 'refs' && heads.size < 1000) heads.add(`${dirname(path)}/refs`);
  });
  for (const folder of heads) if (heads.has(`${folder}/refs`) && basename(folder) !== '.git') repositories.add(folder);
  return {
    isComplete: isComplete && repositories.size <= mostRepositories,
    bytes, entries, sockets, setIdFiles,
    repositories: [...repositories].slice(0, mostRepositories),
  };
}
