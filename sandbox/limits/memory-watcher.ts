import { readFileSync, readdirSync, readlinkSync, statSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../../contracts/clock.ts';
import { agentHome } from '../agent-environment.ts';
import { descendantsOf } from '../processes.ts';

const leastPauseMs = 250;
/** Looking takes time of the agent's own processor: at most a twentieth. */
const pausePerLook = 20;
/** What the kernel holds of an empty file in a tmpfs, about. */
const inodeBytes = 1024;
/** Descriptors looked at in one process. */
const mostDescriptors = 2000;

/**
 * Ends a jail whose memory is more than its limit, where no control group does: looks a few times a second, so that an agent may
 * be over it that long. What it cannot see: SysV segments that no process has attached, memfds in flight between processes.
 */
export function watchMemory(init: number, limitBytes: number, clock: Clock, onExceeded: () => void): { stop(): void } {
  let timer: Timer | undefined;
  const look = (): void => {
    const started = clock.monotonic();
    const used = jailMemory(init);
    if (used > limitBytes) {
      onExceeded();
      return;
    }
    timer = clock.setTimeout(look, Math.max(leastPauseMs, pausePerLook * (clock.monotonic() - started)), { background: true });
  };
  timer = clock.setTimeout(look, leastPauseMs, { background: true });
  return { stop: () => timer?.cancel() };
}

/** Bytes that the jail holds: each process's own and shared memory, its memfds, and what lies in its tmpfs. */
export function jailMemory(init: number): number {
  const memfds = new Map<number, number>();
  let sum = 0;
  for (const { pid } of descendantsOf(init)) {
    sum += processMemory(pid);
    collectMemfds(pid, memfds);
  }
  for (const size of memfds.values()) sum += size;
  for (const folder of ['/tmp', agentHome, '/dev/shm']) sum += storedIn(`/proc/${init}/root${folder}`);
  return sum;
}

/** What is shared counts as its part of it (PSS). Files of the host that are mapped do not count: the kernel can drop them. */
function processMemory(pid: number): number {
  try {
    return sumOf(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'), ['Pss_Anon', 'Pss_Shmem']);
  } catch {
    return residentOnly(pid);
  }
}

/** For a process that hides its mappings; this anybody may read. Shared memory counts whole, with each process. */
function residentOnly(pid: number): number {
  try {
    return sumOf(readFileSync(`/proc/${pid}/status`, 'utf8'), ['RssAnon', 'RssShmem']);
  } catch {
    return 0;
  }
}

function sumOf(text: string, keys: readonly string[]): number {
  return keys.reduce((sum, key) => sum + Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024, 0);
}

function collectMemfds(pid: number, found: Map<number, number>): void {
  try {
    for (const name of readdirSync(`/proc/${pid}/fd`).slice(0, mostDescriptors)) {
      const path = join(`/proc/${pid}/fd`, name);
      if (!readlinkSync(path).startsWith('/memfd:')) continue;
      const { ino, blocks } = statSync(path);
      found.set(ino, blocks * 512);
    }
  } catch {
    // It ended meanwhile.
  }
}

function storedIn(path: string): number {
  try {
    const { blocks, bfree, bsize, files, ffree } = statfsSync(path);
    return (blocks - bfree) * bsize + (files - ffree) * inodeBytes;
  } catch {
    return 0;
  }
}
