import { join } from 'node:path';
import type { JailSpec } from '../../contracts/jail.ts';
import { makeGroup, readCount, type Group } from './group.ts';

export type LimitedController = 'memory' | 'pids' | 'cpu';
const periodMicroseconds = 100_000;

/** One group in the hierarchy of one controller (kernel: Documentation/admin-guide/cgroup-v1). */
export function makeGroupV1(controller: LimitedController, parent: string, id: string, spec: Pick<JailSpec, 'memory_bytes' | 'pids' | 'cpu'>): Group {
  switch (controller) {
    case 'memory':
      // The second counts swap too, where the kernel accounts for it; it may not be below the first.
      return makeGroup(parent, id, { 'memory.limit_in_bytes': String(spec.memory_bytes) }, { 'memory.memsw.limit_in_bytes': String(spec.memory_bytes) });
    case 'pids':
      return makeGroup(parent, id, { 'pids.max': String(spec.pids) });
    case 'cpu':
      return makeGroup(parent, id, { 'cpu.cfs_period_us': String(periodMicroseconds), 'cpu.cfs_quota_us': String(Math.round((spec.cpu ?? 1) * periodMicroseconds)) });
  }
}

export const memoryKillsV1 = ({ folder }: Group): number => readCount(join(folder, 'memory.oom_control'), 'oom_kill');
