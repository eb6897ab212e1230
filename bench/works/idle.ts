import { join } from 'node:path';
import type { IdleJob, Opened, Probed } from '../load/idle-tunnels.ts';
import { fileLimit, openFiles, processorSeconds, residentKiB } from '../machine/usage.ts';
import { startNode } from '../machine/node.ts';
import { reference } from '../peers/all.ts';
import { direct } from '../peers/direct.ts';
import { smallBytes } from '../stage.ts';
import { rest } from './measured.ts';
import { targetOf, withinSeconds } from './run-load.ts';
import type { Bench, Contender, Figures, Work } from './work.ts';

/** A run may have some 1,000 exchanges under way. */
const tunnelsOfAnAgent = 1000;
/** Tunnels opened and closed before anything is read: what a proxy takes once is no tunnel's. */
const warmUp = 64;
const probes = 100;
/** Before memory is read: a runtime that collects garbage gives some back only when it has been idle for seconds. */
const idleMs = 10_000;

/** What the limits of open files allow: a tunnel is two of a proxy's, one of the load's and one of the origin's. */
const possible = (bench: Bench, limitOfProxy: number): number => Math.min(bench.idle, Math.floor((limitOfProxy - 300) / 2), fileLimit('self') - 300, 18_000);

async function hold(bench: Bench, contender: Contender, tunnels: number, whileOpen: (opened: Opened) => Promise<Figures>): Promise<Figures> {
  const { stage, origins } = bench;
  const child = startNode(stage.children, 'idle tunnels', new URL('../load/idle-tunnels.ts', import.meta.url), { cores: stage.cores.load, log: join(stage.folder, 'load.log') });
  try {
    child.tell(JSON.stringify({ target: targetOf(contender, origins, 'small', 'tunnel'), tunnels, bytes: smallBytes, probes } satisfies IdleJob));
    const opened = await withinSeconds(150, child.line(), 'opening tunnels') as unknown as Opened;
    if (opened.wrong > 0) throw new Error(`${opened.problem ?? 'wrong'} (${opened.wrong} of ${tunnels})`);
    const figures = await whileOpen(opened);
    child.tell('probe');
    const probed = await withinSeconds(30, child.line(), 'probing tunnels') as unknown as Probed;
    if (probed.wrong > 0) throw new Error(`${probed.problem ?? 'wrong'} (${probed.wrong} of ${probes} probes)`);
    return figures;
  } finally {
    await stage.children.end(child);
  }
}

export const idle: Work = {
  name: 'idle', title: 'Idle tunnels: memory of the proxy; a request through 100 of them must work afterwards', rounds: 1,
  columns: [
    { title: 'KiB a tunnel', figure: 'tunnel_kib', digits: 1 },
    { title: `x ${reference}`, figure: 'tunnel_kib', digits: 2, against: { contender: reference, by: 'ratio' } },
    { title: 'tunnels', figure: 'tunnels', digits: 0 },
    { title: 'MiB before', figure: 'before_mib', digits: 0 },
    { title: 'MiB with them', figure: 'with_mib', digits: 0 },
    { title: 'open files', figure: 'files', digits: 0 },
    { title: 'opened in s', figure: 'seconds', digits: 1 },
    { title: 'busy while idle %', figure: 'idle_core', digits: 1 },
  ],
  summary: [{ column: 'KiB a tunnel', goal: '<= 20' }],
  fits: (peer) => peer.tunnels && peer.name !== direct.name,
  agents: (bench) => Math.ceil(bench.idle / tunnelsOfAnAgent),
  round: async (bench, contender) => {
    const { proxy } = contender.running;
    const tunnels = possible(bench, fileLimit(proxy[0] ?? 'self'));
    await hold(bench, contender, Math.min(warmUp, tunnels), () => Promise.resolve({}));
    await rest(contender);
    const before = residentKiB(proxy);
    return hold(bench, contender, tunnels, async ({ seconds }) => {
      await rest(contender);
      const [used, at] = [processorSeconds(proxy), performance.now()];
      await new Promise((resolve) => { setTimeout(resolve, idleMs); });
      const idle_core = (processorSeconds(proxy) - used) / (performance.now() - at) * 1e5;
      const resident = residentKiB(proxy);
      return { tunnels, seconds, tunnel_kib: (resident - before) / tunnels, before_mib: before / 1024, with_mib: resident / 1024, files: openFiles(proxy), idle_core };
    });
  },
};
