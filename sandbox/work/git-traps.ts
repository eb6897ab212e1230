import { createHash } from 'node:crypto';
import { constants, lstatSync, openSync, closeSync, opendirSync, readlinkSync, type Stats } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { GitChange } from '../../contracts/jail.ts';
import { settingsThatRun } from './git-settings.ts';
import { safeRead } from './safe-read.ts';

/** Larger files are compared by size and times alone. */
const longestFile = 256 * 1024;
/** Files looked at below one repository, submodules and worktrees with it. */
const mostFiles = 500;
/** Submodules nest. */
const deepest = 6;

/** What git on the host obeys below one `.git`. `state` differs whenever the file does. */
interface GitFile {
  readonly state: string;
  readonly changedMs: number;
  readonly bornMs: number;
  readonly runs: readonly string[];
}
export type GitFiles = ReadonlyMap<string, GitFile>;

/** `obeyed` by name, whole folders by their files, and `nested` folders that hold repositories of their own. */
const obeyed: ReadonlySet<string> = new Set(['config', 'config.worktree', 'commondir', 'gitdir', 'info/attributes', 'info/grafts', 'objects/info/alternates']);
const listed: readonly string[] = ['hooks', 'refs/replace'];
const nested: readonly string[] = ['modules', 'worktrees'];

/**
 * The files below the repository `git` (relative to the work folder `root`, a real path) that make git run something, or look
 * elsewhere: what a person's next `git status` would act on. Links and other oddities are told, never followed.
 */
export function gitFiles(root: string, git: string): GitFiles {
  const found = new Map<string, GitFile>();
  const look = (path: string): Stats | undefined => {
    const stats = lstatSync(`${root}/${path}`, { throwIfNoEntry: false });
    if (stats === undefined || found.size >= mostFiles) return undefined;
    if (!stats.isDirectory()) found.set(path, describe(root, path, stats));
    return stats;
  };
  const repository = (folder: string, depth: number): void => {
    for (const name of obeyed) look(`${folder}/${name}`);
    // A link in place of a folder is told as the link it is.
    for (const name of ['info', 'objects', ...listed, ...nested]) look(`${folder}/${name}`);
    for (const name of listed) for (const child of namesIn(root, `${folder}/${name}`)) if (!child.endsWith('.sample')) look(`${folder}/${name}/${child}`);
    if (depth >= deepest) return;
    for (const name of nested) {
      for (const child of namesIn(root, `${folder}/${name}`)) {
        const below = `${folder}/${name}/${child}`;
        if (look(below)?.isDirectory() === true) repository(below, depth + 1);
      }
    }
  };
  if (look(git)?.isDirectory() === true) repository(git, 0);
  return found;
}

function describe(root: string, path: string, stats: Stats): GitFile {
  const times = { changedMs: stats.ctimeMs, bornMs: stats.birthtimeMs };
  const name = basename(path);
  if (stats.isSymbolicLink()) {
    const target = readlinkSync(`${root}/${path}`);
    return { ...times, state: `link ${target}`, runs: [`is a link to ${target}`] };
  }
  const bytes = safeRead(root, `${root}/${path}`, longestFile);
  if (bytes === undefined) return { ...times, state: `unread ${stats.mode} ${stats.ino} ${stats.size} ${stats.ctimeMs}`, runs: ['cannot be read safely'] };
  return { ...times, state: `${stats.mode} ${createHash('sha256').update(bytes).digest('hex')}`, runs: effects(name, path, bytes.toString('utf8'), stats) };
}

function effects(name: string, path: string, text: string, stats: Stats): readonly string[] {
  const first = text.split('\n', 1)[0]?.slice(0, 200) ?? '';
  if (name === 'config' || name === 'config.worktree') return settingsThatRun(text);
  if (basename(dirname(path)) === 'hooks') return (stats.mode & 0o111) === 0 ? [] : [`runs as the hook ${name}`];
  if (name === 'attributes') return [];
  return [`points git to ${first}`];
}

/** At most `mostFiles` names, of a folder that is no link. */
function namesIn(root: string, path: string): readonly string[] {
  let descriptor: number;
  try {
    descriptor = openSync(`${root}/${path}`, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch {
    return [];
  }
  try {
    const listing = opendirSync(`/proc/self/fd/${descriptor}`);
    const names: string[] = [];
    try {
      for (let entry = listing.readSync(); entry !== null && names.length < mostFiles; entry = listing.readSync()) names.push(entry.name);
    } finally {
      listing.closeSync();
    }
    return names.sort();
  } finally {
    closeSync(descriptor);
  }
}

/** What differs, by path. */
export function gitChanges(before: GitFiles, after: GitFiles): readonly GitChange[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths.flatMap((path): GitChange[] => {
    const old = before.get(path);
    const now = after.get(path);
    if (now === undefined) return [{ path, change: 'removed', runs: [] }];
    if (old === undefined) return [{ path, change: 'added', runs: now.runs }];
    return old.state === now.state ? [] : [{ path, change: 'changed', runs: now.runs }];
  });
}

/**
 * Of repositories deeper in the work folder, which were not read before: what changed since `startedMs` and makes git run or
 * obey something. The time of the last change (ctime) cannot be set by an agent.
 */
export function nestedGitChanges(root: string, repositories: readonly string[], startedMs: number): readonly GitChange[] {
  return repositories.flatMap((git) => {
    const moved = (lstatSync(`${root}/${git}`, { throwIfNoEntry: false })?.ctimeMs ?? 0) >= startedMs;
    return [...gitFiles(root, git)]
      .filter(([, file]) => (moved || file.changedMs >= startedMs) && file.runs.length > 0)
      .map(([path, file]): GitChange => ({ path, change: file.bornMs >= startedMs ? 'added' : 'changed', runs: file.runs }));
  });
}
