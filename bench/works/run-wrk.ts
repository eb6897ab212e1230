import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programPath } from '../machine/programs.ts';
import { smallBytes } from '../stage.ts';
import type { LoadResult } from '../load/job.ts';
import type { ExchangesJob } from '../load/exchanges.ts';
import { runLoad, targetOf, withinSeconds } from './run-load.ts';
import type { Bench, Contender } from './work.ts';

const script = fileURLToPath(new URL('../load/wrk.lua', import.meta.url));
export const wrkInstall = 'apt-get install wrk';

export interface SmallLoad {
  readonly connections: number;
  readonly paths: number;
  /** False: a new connection for each request, announced by `Connection: close`. */
  readonly keepAlive: boolean;
}

/** GETs of 1 KiB, one outstanding on each connection. */
export async function smallLoad(bench: Bench, contender: Contender, load: SmallLoad): Promise<LoadResult> {
  const { stage, origins } = bench;
  if (!contender.peer.keepsAlive) {
    const job: ExchangesJob = { target: targetOf(contender, origins, 'small', 'absolute'), path: '/item', bytes: smallBytes, upload: 0, lanes: load.connections, seconds: bench.seconds };
    return runLoad(stage, 'exchanges', job);
  }
  const wrk = programPath('wrk');
  if (wrk === undefined) throw new Error(`wrk is missing: ${wrkInstall}`);
  const { port, form, authority, authorizations } = targetOf(contender, origins, 'small', 'absolute');
  const seconds = Math.max(1, Math.round(bench.seconds));
  const job = [form === 'absolute' ? `http://${authority}/item` : '/item', authority, load.paths, smallBytes, load.keepAlive ? 'keep' : 'close', ...authorizations.slice(0, 1)];
  const child = stage.children.start('wrk', wrk, ['-t', '1', '-c', String(load.connections), '-d', String(seconds), '--timeout', '10', '-s', script, `http://127.0.0.1:${port}`], {
    cores: stage.cores.load, log: join(stage.folder, 'load.log'), environment: { BENCH_WRK: job.join('\n') },
  });
  try {
    return judged(await withinSeconds(seconds + 60, child.line(), 'wrk') as unknown as WrkResult, load);
  } finally {
    await stage.children.end(child);
  }
}

interface WrkResult {
  readonly count: number;
  readonly seconds: number;
  readonly wrong: number;
  readonly first: string;
  readonly connect: number;
  readonly read: number;
  readonly write: number;
  readonly timeout: number;
  readonly mean_ms: number;
}

function judged(result: WrkResult, { connections }: SmallLoad): LoadResult {
  const { count, seconds, wrong, first, connect, read, write, timeout, mean_ms } = result;
  const broken = connect + read + write + timeout;
  if (wrong > 0) throw new Error(`${first} (${wrong} of ${count})`);
  if (broken > 0) throw new Error(`errors of sockets: ${connect} connecting, ${read} reading, ${write} writing, ${timeout} timeouts`);
  if (count === 0) throw new Error('no answer');
  // wrk does not see a request that never ends. By Little's law so many were under way, less those that waited in a busy wrk to be sent,
  // which may be half; a short round of a slow proxy says nothing.
  const underWay = count / seconds * mean_ms / 1000;
  if (count > 20 * connections && underWay < 0.25 * connections) throw new Error(`only ${underWay.toFixed(0)} of ${connections} connections had answers`);
  return { count, seconds, wrong, problem: null };
}
