import { readFileSync } from 'node:fs';
import { SallyportError } from '../../contracts/errors.ts';
import type { JailSpec, LimitKeeper } from '../../contracts/jail.ts';
import type { Identity } from '../identity.ts';
import { threadsOfUser } from '../processes.ts';
import { makeGroupV1, memoryKillsV1, type LimitedController } from './cgroup-v1.ts';
import { killGroup, makeGroupV2, memoryKillsV2, prepareParent } from './cgroup-v2.ts';
import { removeGroup, type Group } from './group.ts';
import { findHierarchies, type Hierarchies } from './hierarchies.ts';

/** Descriptors that one process of the agent may have open; fewer where the host allows fewer. */
const openFiles = 16_384;

export interface Limits {
  readonly keepers: Readonly<Record<LimitedController, LimitKeeper>>;
  /** `cgroup.procs` of each group to join. */
  readonly joins: readonly string[];
  /** Options of prlimit(1). */
  readonly resources: readonly string[];
  memoryKills(): number;
  /** Ends the processes in the groups, where the kernel can do that at once. */
  kill(): void;
  /** Once the jail is empty. */
  remove(): Promise<void>;
}

export function readHierarchies(): Hierarchies {
  return findHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
}

/**
 * The best keeper that this host has for each limit: control groups v2 where we are root or they were delegated, v1 as found,
 * else RLIMIT_NPROC for processes and a watcher for memory. A limit on `cpu` that nothing can hold is refused.
 */
export function takeLimits(spec: Pick<JailSpec, 'memory_bytes' | 'pids' | 'cpu'>, identity: Identity, id: string, hierarchies: Hierarchies = readHierarchies()): Limits {
  const wanted: readonly LimitedController[] = ['memory', 'pids', ...(spec.cpu === undefined ? [] : ['cpu'] as const)];
  const v2 = tryV2(spec, identity, id, hierarchies, wanted);
  const v1 = new Map<LimitedController, Group>();
  if (v2 === undefined) {
    for (const controller of wanted) {
      const group = attempt(() => {
        const parent = hierarchies.v1.get(controller);
        return parent === undefined ? undefined : makeGroupV1(controller, parent, id, spec);
      });
      if (group !== undefined) v1.set(controller, group);
    }
  }
  const keeper = (controller: LimitedController, otherwise: LimitKeeper): LimitKeeper =>
    v2 !== undefined && wanted.includes(controller) ? 'cgroup_v2' : v1.has(controller) ? 'cgroup_v1' : otherwise;
  const keepers = { memory: keeper('memory', 'watcher'), pids: keeper('pids', 'rlimit'), cpu: keeper('cpu', 'none') };
  const groups = [...(v2 === undefined ? [] : [v2]), ...v1.values()];
  const remove = async (): Promise<void> => { await Promise.all(groups.map(removeGroup)); };
  if (spec.cpu !== undefined && keepers.cpu === 'none') {
    void remove();
    throw new SallyportError('jail_unavailable', 'This host cannot hold an agent to a share of its processors: there is no control group that we may use.', {
      next_steps: ['Leave the limit on cpu out, or run as root, or under systemd-run --user --scope -p Delegate=yes.'],
    });
  }
  return {
    keepers,
    joins: groups.map(({ procs }) => procs),
    resources: [
      '--core=0:0',
      `--nofile=${Math.min(openFiles, hardOpenFiles())}`,
      // It counts what the uid runs elsewhere, too.
      ...(keepers.pids === 'rlimit' ? [`--nproc=${threadsOfUser(identity.uid) + spec.pids}`] : []),
    ],
    memoryKills: () => (v2 === undefined ? 0 : memoryKillsV2(v2)) + (v1.has('memory') ? memoryKillsV1(v1.get('memory')!) : 0),
    kill: () => {
      if (v2 !== undefined) killGroup(v2);
    },
    remove,
  };
}

function tryV2(spec: Pick<JailSpec, 'memory_bytes' | 'pids' | 'cpu'>, identity: Identity, id: string, { v2 }: Hierarchies, wanted: readonly string[]): Group | undefined {
  if (v2 === undefined) return undefined;
  return attempt(() => makeGroupV2(prepareParent(v2, identity.dropped, wanted), id, spec));
}

/** What cannot be had here is kept by the next best; `keepers` says by what. */
function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

function hardOpenFiles(): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return hard === undefined || hard === 'unlimited' ? openFiles : Number(hard);
}
