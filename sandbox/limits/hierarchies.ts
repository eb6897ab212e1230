import { join } from 'node:path';

/** A folder in a cgroup file system: our own group there, or where its mount begins if that cannot be told. */
export interface Hierarchies {
  readonly v2: { readonly mount: string; readonly own: string } | undefined;
  /** By controller: `memory`, `pids`, `cpu`. */
  readonly v1: ReadonlyMap<string, string>;
}

const controllers = ['memory', 'pids', 'cpu'] as const;

/**
 * From the texts of /proc/self/mountinfo (proc(5)) and /proc/self/cgroup (cgroups(7)). Machines have v2 alone, v1 alone, or both
 * with the controllers in either; the mount points are anybody's choice.
 */
export function findHierarchies(mountinfo: string, cgroup: string): Hierarchies {
  const groups = cgroup.split('\n').flatMap((line) => {
    const match = /^(\d+):([^:]*):(.*)$/.exec(line);
    return match === null ? [] : [{ controllers: (match[2] ?? '').split(','), path: match[3] ?? '/' }];
  });
  let v2: Hierarchies['v2'];
  const v1 = new Map<string, string>();
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root = '/', mount = ''] = left.split(' ').map(unescapeOctal);
    const [type, , options = ''] = right.split(' ');
    if (type === 'cgroup2' && v2 === undefined) {
      const own = groups.find(({ controllers: names }) => names[0] === '')?.path;
      if (own !== undefined) v2 = { mount, own: folderOf(mount, root, own) };
    }
    if (type !== 'cgroup') continue;
    for (const controller of controllers) {
      if (v1.has(controller) || !options.split(',').includes(controller)) continue;
      const own = groups.find(({ controllers: names }) => names.includes(controller))?.path;
      if (own !== undefined) v1.set(controller, folderOf(mount, root, own));
    }
  }
  return { v2, v1 };
}

/** A container often sees its own group as the mount's root, under a path that is the host's. */
function folderOf(mount: string, root: string, own: string): string {
  if (root === '/') return own === '/' || own.startsWith('/..') ? mount : join(mount, own);
  return own === root || own.startsWith(`${root}/`) ? join(mount, own.slice(root.length)) : mount;
}

/** Blanks and the like are written as `\040`. */
const unescapeOctal = (field: string): string => field.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
