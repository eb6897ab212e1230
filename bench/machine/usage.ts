import { readdirSync, readFileSync } from 'node:fs';

/** What processes use, from /proc. A process that has gone uses nothing. Times in seconds of processor time, grain 10 ms. */
const ticksPerSecond = 100;

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** Fields of /proc/PID/stat from the third on: the second is a name that may hold anything. */
const statOf = (pid: number | 'self'): readonly string[] => read(`/proc/${pid}/stat`).replace(/^.*\) /s, '').split(' ');
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const seconds = (ticks: readonly (string | undefined)[]): number => sum(ticks.map((tick) => Number(tick ?? 0))) / ticksPerSecond;

export const processorSeconds = (pids: readonly number[]): number => sum(pids.map((pid) => seconds(statOf(pid).slice(11, 13))));

/** Of children that have ended and been waited for. */
export const endedChildrenSeconds = (): number => seconds(statOf('self').slice(13, 15));

export const residentKiB = (pids: readonly number[]): number => sum(pids.map((pid) => Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0)));

export const openFiles = (pids: readonly number[]): number => sum(pids.map((pid) => {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}));

export const fileLimit = (pid: number | 'self'): number => Number(/Max open files\s+(\d+)/.exec(read(`/proc/${pid}/limits`))?.[1] ?? 1024);

export const commandLine = (pid: number): string => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');

/** A process and all that descend from it. */
export function processTree(pid: number): readonly number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim();
  return [pid, ...(children === '' ? [] : children.split(' ').flatMap((child) => processTree(Number(child))))];
}

export const lives = (pid: number): boolean => !['', 'Z', 'X'].includes(statOf(pid)[0] ?? '');

/** All that the machine has done, whoever asked for it: user, nice, system, interrupts and time stolen by its host. */
export function machineSeconds(): number {
  const [user, nice, system, , , hard, soft, stolen] = (/^cpu\s+(.*)$/m.exec(read('/proc/stat'))?.[1] ?? '').split(' ');
  return seconds([user, nice, system, hard, soft, stolen]);
}
