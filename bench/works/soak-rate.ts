import type { OpenLoopJob, OpenLoopResult } from '../load/open-loop.ts';
import { slope } from '../report/statistics.ts';
import { smallBytes } from '../stage.ts';
import { rest } from './measured.ts';
import { runLoad, targetOf } from './run-load.ts';
import { smallLoad } from './run-wrk.ts';
import type { Bench, Contender } from './work.ts';

const wantedRate = 5000;
/** Of what the machine gives, where that is less than wanted. */
const share = 0.7;
const tries = 2;
const trySeconds = 3;
/** One seal and its checkpoint come every second or two under load, so that a shorter probe would show only them. */
const probeSeconds = 20;
const probes = 5;
/** What counts as flat, of what the journal grows by; a second of it may wait for its segment's turn at any time. */
const flatShare = 0.03;
/** Of the journal, roughly: it only says where to look next. */
const exchangeBytes = 1900;

/** The job of a fixed rate over 64 connections. */
export function steadyJob({ origins }: Bench, contender: Contender, rate: number, seconds: number): OpenLoopJob {
  return { target: targetOf(contender, origins, 'small', 'absolute'), path: '/item', bytes: smallBytes, rate, connections: 64, seconds, keep_alive: true };
}

/**
 * The rate of a soak: what is wanted, or 70 % of what the machine gives with the journal's lag flat, found by short probes. `told` hears
 * of each.
 */
export async function soakRate(bench: Bench, contender: Contender, told: (line: string) => void): Promise<number> {
  let possible = 0;
  for (let round = 0; round < tries; round++) {
    const { count, seconds } = await smallLoad({ ...bench, seconds: trySeconds }, contender, { connections: 64, paths: 1, keepAlive: true });
    possible = count / seconds;
    await rest(contender);
  }
  const first = Math.floor(Math.min(wantedRate, share * possible));
  told(`${Math.round(possible)} requests/s possible`);
  let rate = first;
  for (let probe = 0; probe < probes; probe++) {
    const growth = await lagGrowth(bench, contender, rate);
    await rest(contender);
    told(`at ${rate}/s the journal's lag grows by ${(growth / 1024).toFixed(0)} KiB/s`);
    if (!(growth > flatShare * rate * exchangeBytes)) return rate === first ? rate : Math.floor(share * rate);
    rate = Math.max(100, Math.floor(0.95 * Math.min(0.9 * rate, rate - growth / exchangeBytes)));
  }
  return Math.floor(share * rate);
}

/** Bytes a second, over the second half of a probe. */
async function lagGrowth(bench: Bench, contender: Contender, rate: number): Promise<number> {
  const times: number[] = [];
  const lags: number[] = [];
  const began = performance.now();
  let reading: Promise<void> | undefined;
  const read = async (): Promise<void> => {
    const lag = await contender.running.lag?.() ?? Number.NaN;
    const seconds = (performance.now() - began) / 1000;
    if (seconds < probeSeconds / 4 || seconds > probeSeconds) return;
    times.push(seconds);
    lags.push(lag);
  };
  const timer = setInterval(() => { reading ??= read().catch(() => { /* The soak itself tells what is wrong. */ }).finally(() => { reading = undefined; }); }, 500);
  try {
    await runLoad<OpenLoopResult>(bench.stage, 'open-loop', steadyJob(bench, contender, rate, probeSeconds), { wrongIsAnError: false });
  } finally {
    clearInterval(timer);
    await reading;
  }
  return slope(times, lags);
}
