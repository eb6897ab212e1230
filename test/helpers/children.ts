import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';

/** Pids of the children of `parent` whose command line names `script`. */
export async function childrenOf(parent: number, script: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.filter((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return status.includes(`PPid:\t${parent}\n`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(script);
    } catch {
      return false; // It ended between the two.
    }
  });
}
