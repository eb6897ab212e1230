import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { JailSpec } from '../../contracts/jail.ts';
import { makeGroup, readCount, type Group } from './group.ts';
import type { Hierarchies } from './hierarchies.ts';

/** Where a delegated launcher puts itself: a group with children may hold no processes (cgroups(7), "no internal processes"). */
const leaf = 'sallyport-launcher';
const periodMicroseconds = 100_000;

const wordsIn = (path: string): readonly string[] => readFileSync(path, 'utf8').trim().split(/\s+/);

/**
 * The group below which jails' groups can be made: the hierarchy's root for a root launcher, else our own group where it was
 * delegated to us (`systemd-run --user --scope -p Delegate=yes`, or a service with `Delegate=yes`). Throws where neither is so.
 */
export function prepareParent({ mount, own }: NonNullable<Hierarchies['v2']>, isRoot: boolean, wanted: readonly string[]): string {
  // Only the real root has no type; a container's root is some group of the host's.
  if (isRoot && !existsSync(join(mount, 'cgroup.type'))) return enable(mount, wanted);
  const parent = basename(own) === leaf ? dirname(own) : own;
  const missing = wanted.filter((controller) => !wordsIn(join(parent, 'cgroup.controllers')).includes(controller));
  if (missing.length > 0) throw new Error(`the control group ${parent} was not given ${missing.join(', ')}`);
  try {
    return enable(parent, wanted);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    mkdirSync(join(parent, leaf), { recursive: true });
    for (const pid of wordsIn(join(parent, 'cgroup.procs')).filter((word) => word !== '')) writeFileSync(join(parent, leaf, 'cgroup.procs'), pid);
    return enable(parent, wanted);
  }
}

function enable(folder: string, wanted: readonly string[]): string {
  const enabled = wordsIn(join(folder, 'cgroup.subtree_control'));
  const more = wanted.filter((controller) => !enabled.includes(controller));
  if (more.length > 0) writeFileSync(join(folder, 'cgroup.subtree_control'), more.map((controller) => `+${controller}`).join(' '));
  return folder;
}

export function makeGroupV2(parent: string, id: string, spec: Pick<JailSpec, 'memory_bytes' | 'pids' | 'cpu'>): Group {
  return makeGroup(parent, id, {
    'memory.max': String(spec.memory_bytes),
    'pids.max': String(spec.pids),
    ...(spec.cpu !== undefined && { 'cpu.max': `${Math.round(spec.cpu * periodMicroseconds)} ${periodMicroseconds}` }),
  }, { 'memory.swap.max': '0' });
}

export const memoryKillsV2 = ({ folder }: Group): number => readCount(join(folder, 'memory.events'), 'oom_kill');

/** Ends every process in the group at once (kernel 5.14 and later). */
export function killGroup({ folder }: Group): void {
  try {
    writeFileSync(join(folder, 'cgroup.kill'), '1');
  } catch {
    // An older kernel: the death of the jail's first process ends the others.
  }
}
