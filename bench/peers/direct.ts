import type { Peer } from './peer.ts';

/** No proxy: what generator and origin can do by themselves. */
export const direct: Peer = {
  name: 'direct', program: undefined, tunnels: true, keepsAlive: true, intercepts: true, note: 'no proxy: the ceiling of load and origin',
  start: () => Promise.resolve({ port: undefined, authorizations: [], proxy: [], beside: [], stop: () => Promise.resolve() }),
};
