import { readFileSync, readdirSync } from 'node:fs';

/** One process of the host. A pid alone may be given to another process later; with the start time it cannot be mistaken. */
export interface ProcessName {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: string;
}

interface ProcessStat extends ProcessName {
  readonly parent: number;
  /** `Z` is dead and not yet waited for. */
  readonly state: string;
}

/** From /proc/PID/stat (proc(5)); the name in parentheses may hold spaces and parentheses itself. */
export function parseStat(text: string): ProcessStat | undefined {
  const close = text.lastIndexOf(')');
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(close + 2).split(' ');
  const [state, parent] = fields;
  const startTime = fields[19];
  if (close < 0 || !Number.isInteger(pid) || state === undefined || parent === undefined || startTime === undefined) return undefined;
  return { pid, state, parent: Number(parent), startTime };
}

export function statOf(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

export const isAlive = ({ pid, startTime }: ProcessName): boolean => {
  const now = statOf(pid);
  return now !== undefined && now.startTime === startTime && now.state !== 'Z';
};

function allProcesses(): readonly ProcessStat[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => statOf(Number(name)) ?? []);
}

/** `root` and all that descend from it. Orphans of a jail become children of its first process, so none is lost. */
export function descendantsOf(root: number): readonly ProcessStat[] {
  const children = Map.groupBy(allProcesses(), ({ parent }) => parent);
  const found: ProcessStat[] = [];
  const own = statOf(root);
  const waiting = own === undefined ? [] : [own];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    found.push(next);
    waiting.push(...children.get(next.pid) ?? []);
  }
  return found;
}

/** Processes and threads of a uid, for RLIMIT_NPROC, which counts them all. */
export function threadsOfUser(uid: number): number {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).reduce((sum, name) => {
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      const owner = /^Uid:\t(\d+)/m.exec(status)?.[1];
      return Number(owner) === uid ? sum + Number(/^Threads:\t(\d+)$/m.exec(status)?.[1] ?? 1) : sum;
    } catch {
      return sum;
    }
  }, 0);
}

/** By the kernel's own list (CONFIG_PROC_CHILDREN), or by looking through all processes where there is none. */
function childrenOf(pid: number): readonly ProcessStat[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((word) => word !== '').flatMap((word) => statOf(Number(word)) ?? []);
  } catch {
    return allProcesses().filter(({ parent }) => parent === pid);
  }
}

/**
 * The jail's two processes before the agent runs: bwrap's pid 1 and the boot script, which becomes the agent. bwrap's own
 * process outside has pid 1 as its only child, and that has the script as its only child.
 */
export function findJailProcesses(bubblewrap: number): { readonly init: ProcessName; readonly agent: ProcessName } | undefined {
  const onlyChild = (parent: number): ProcessStat | undefined => {
    const children = childrenOf(parent);
    return children.length === 1 ? children[0] : undefined;
  };
  const init = onlyChild(bubblewrap);
  const agent = init === undefined ? undefined : onlyChild(init.pid);
  return init === undefined || agent === undefined ? undefined : { init, agent };
}
