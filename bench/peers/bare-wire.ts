import { join } from 'node:path';
import { startNode } from '../machine/node.ts';
import type { Peer } from './peer.ts';

/** Sallyport's wire without its checks (`wire-proxy.ts`): the difference to `sallyport` is what the checks cost. */
export const bareWire: Peer = {
  name: 'bare wire', program: undefined, tunnels: true, keepsAlive: true, intercepts: false, note: 'no checks, no records: not a product',
  start: async ({ stage, folder }) => {
    const child = startNode(stage.children, 'bare wire', new URL('../wire-proxy.ts', import.meta.url), { cores: stage.cores.proxy, log: join(folder, 'log') });
    const { port } = await child.line();
    return { port: Number(port), authorizations: [], proxy: [child.pid], beside: [], stop: () => stage.children.end(child) };
  },
};
