import type { Up } from './supervise.ts';

/** Ctrl-C, a service manager, or a terminal that goes away. */
export function stopOnSignals(up: Up): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, up.stop);
}
