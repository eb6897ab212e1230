import { availableParallelism, cpus, loadavg, release } from 'node:os';
import { fileLimit } from '../machine/usage.ts';

/** What a reader must know of where figures come from. */
export function describeMachine(): Readonly<Record<string, string | number>> {
  return {
    processor: cpus()[0]?.model ?? 'unknown', cores: availableParallelism(), kernel: release(), node: process.version, load_average: Number(loadavg()[0]!.toFixed(2)),
    open_files: fileLimit('self'), at: new Date().toISOString(),
  };
}
