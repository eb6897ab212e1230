import { setTimeout as pause } from 'node:timers/promises';
import { endedChildrenSeconds, machineSeconds, processorSeconds } from '../machine/usage.ts';
import type { LoadResult } from '../load/job.ts';
import { squid } from '../peers/squid.ts';
import type { Bench, Column, Contender, Figures } from './work.ts';

/** Less than 2 % of a core over this time counts as having nothing left to do. */
const quietMs = 250;
const quietSeconds = 0.005;
/** What a control plane has left to do after a fast round takes longer than the round. */
const restMs = 120_000;

/** Until what a contender has beside its data path has done what the load left it to do: it must not work in the next one's time. */
export async function rest({ running }: Contender): Promise<void> {
  const pids = [...running.proxy, ...running.beside];
  if (pids.length === 0) return;
  const deadline = Date.now() + restMs;
  for (let before = processorSeconds(pids); Date.now() < deadline;) {
    await pause(quietMs);
    const now = processorSeconds(pids);
    if (now - before <= quietSeconds) return;
    before = now;
  }
}

/** Runs a load and adds what it cost. Figures: `count`, `per_second`, those below, and microseconds of processor time for each counted thing. */
export async function measured<Result extends LoadResult>(bench: Bench, contender: Contender, load: () => Promise<Result>): Promise<{ readonly result: Result; readonly figures: Figures }> {
  const { running } = contender;
  const origins = Object.values(bench.origins).flatMap(({ pids }) => pids);
  const used = (): { readonly [part: string]: number } => ({
    wall: performance.now() / 1000, proxy: processorSeconds(running.proxy), beside: processorSeconds(running.beside), load: endedChildrenSeconds() + processorSeconds(origins),
    own: process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6, machine: machineSeconds(),
  });
  const before = used();
  const result = await load();
  const after = used();
  const spent = (part: string): number => after[part]! - before[part]!;
  // What is done after the last answer is paid for as well; shares of cores are of the time of the load.
  await rest(contender);
  const paid = { proxy: processorSeconds(running.proxy) - before['proxy']!, beside: processorSeconds(running.beside) - before['beside']! };
  const wall = spent('wall');
  return {
    result,
    figures: {
      count: result.count, per_second: result.count / result.seconds,
      proxy_us: paid.proxy / result.count * 1e6, beside_us: paid.beside / result.count * 1e6,
      proxy_core: spent('proxy') / wall * 100, load_core: (spent('load') + spent('beside') + spent('own')) / wall * 100,
      foreign: Math.max(0, spent('machine') - spent('proxy') - spent('load') - spent('beside') - spent('own')) / wall * 100,
    },
  };
}

/** From this share of its core on, in per cent, a side counts as what bounds the figure. */
const busy = 88;

const dashed = (number: number, text: (shown: number) => string): string => (Number.isFinite(number) && number > 0 ? text(number) : '-');

/** What a thing cost, and whose core was busy. */
export const costColumns = (reference: string = squid.name): readonly Column[] => [
  { title: 'proxy us each', figure: 'proxy_us', digits: 1 },
  { title: `us x ${reference}`, figure: 'proxy_us', digits: 2, against: { contender: reference, by: 'ratio' } },
  { title: 'beside it us', text: (median) => dashed(median('beside_us'), (us) => us.toFixed(1)) },
  { title: 'cores busy: proxy, load', text: (median) => `${dashed(median('proxy_core'), (share) => `${share.toFixed(0)} %`)}, ${median('load_core').toFixed(0)} %` },
  { title: 'foreign', text: (median) => `${median('foreign').toFixed(0)} %` },
  { title: 'bound', text: (median) => (median('proxy_core') >= busy ? 'proxy' : median('load_core') >= busy ? 'load' : '-') },
];

export const rateColumns = (title: string, reference: string = squid.name): readonly Column[] => [
  { title, figure: 'per_second', digits: 0 },
  { title: `x ${reference}`, figure: 'per_second', digits: 2, against: { contender: reference, by: 'ratio' } },
  ...costColumns(reference),
];
