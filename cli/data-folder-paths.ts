import { join } from 'node:path';

/** Names in the data folder that the command line knows; the rest is the control plane's and the worker's. */
export const apiSocket = (folder: string): string => join(folder, 'api.sock');
/** The supervisor's own socket: `down`, and the holds of runs (up/link.ts). */
export const linkSocket = (folder: string): string => join(folder, 'up.sock');
export const runSocketFolder = (folder: string): string => join(folder, 's');
/** By which proxies are known to the control plane. */
export const proxyTokenFile = (folder: string): string => join(folder, 'keys', 'proxy.token');
export const lockFile = (folder: string): string => join(folder, 'lock');
export const logFolder = (folder: string): string => join(folder, 'log');
/** What a jail host's agent writes to its outputs. */
export const agentLog = (folder: string, runId: string): string => join(logFolder(folder), 'agents', `${runId}.log`);
/** By which the control plane knows the jail host of this folder again. */
export const hostIdFile = (folder: string): string => join(folder, 'host_id');
export const sealsFile = (folder: string): string => join(folder, 'seals.jsonl');
export const sealPublicKey = (folder: string): string => join(folder, 'keys', 'seal.pub');
