import { reference } from '../peers/all.ts';
import { measured, rateColumns } from './measured.ts';
import { smallLoad, type SmallLoad } from './run-wrk.ts';
import type { Work } from './work.ts';

const small = (name: string, title: string, load: SmallLoad, goal?: string): Work => ({
  name, title, columns: rateColumns('requests/s'), summary: [{ column: `x ${reference}`, ...(goal !== undefined && { goal }) }], fits: () => true,
  round: async (bench, contender) => (await measured(bench, contender, () => smallLoad(bench, contender, load))).figures,
});

/** Plain HTTP, 1 KiB. */
export const smallWorks: readonly Work[] = [
  small('plain', 'Plain HTTP, keep-alive, 64 connections, 1 KiB, always the same request', { connections: 64, paths: 1, keepAlive: true }, '>= 1.2'),
  small('paths', 'The same with 1,000 different paths in turn', { connections: 64, paths: 1000, keepAlive: true }),
  small('fresh', 'A new connection for each request, 64 at a time, 1 KiB', { connections: 64, paths: 1, keepAlive: false }),
  small('crowd', '1,000 keep-alive connections, 1 KiB', { connections: 1000, paths: 1, keepAlive: true }),
];
