/** Agents that one jail host runs at once; the further ones wait for one of them to end. */
export const mostAgents = 64;
/** Agents that a jail host is told of: those it runs, and those that are ending while their successors start. */
export const mostPresent = 2 * mostAgents;
/** Between a jail host's heartbeats; a run whose host is silent for `leaseMs` (contracts/run-api.ts) is lost. Milliseconds. */
export const hostHeartbeatMs = 10_000;
