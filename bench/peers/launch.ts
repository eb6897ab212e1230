import { join } from 'node:path';
import { freePort, listening } from '../machine/ports.ts';
import { processTree } from '../machine/usage.ts';
import type { Place, RunningPeer } from './peer.ts';

/** A program that listens on the port its arguments name, on the proxies' core. */
export async function launch({ stage, program, folder }: Place, name: string, argumentsFor: (port: number) => readonly string[]): Promise<RunningPeer> {
  const port = await freePort();
  const child = stage.children.start(name, program, argumentsFor(port), { cores: stage.cores.proxy, log: join(folder, 'log') });
  await listening(port, child);
  return { port, authorizations: [], proxy: processTree(child.pid), beside: [], stop: () => stage.children.end(child) };
}
