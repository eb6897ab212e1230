import type { OpenLoopResult } from '../load/open-loop.ts';
import { openFiles, processorSeconds, residentKiB } from '../machine/usage.ts';
import { slope } from '../report/statistics.ts';
import { runLoad } from './run-load.ts';
import { soakRate, steadyJob } from './soak-rate.ts';
import type { Bench, Contender } from './work.ts';

const samples = 60;
/** Warming up is no leak: the slope is over what comes after this part of the time. */
const settledAfter = 0.2;

export interface Soak {
  readonly seconds: number;
  /** Exchanges a second that were due. */
  readonly rate: number;
  readonly answered: number;
  readonly wrong: number;
  readonly problem: string | null;
  readonly p50: number;
  readonly p99: number;
  /** By what: seconds since the start, and what was seen then. */
  readonly at: readonly number[];
  readonly series: Readonly<Record<string, readonly number[]>>;
  /** For a minute, over the settled part. */
  readonly slopes: Readonly<Record<string, number>>;
}

/** A fixed rate (the one given, or one that is found) for a long time, with what a leak or a growing backlog would show in. */
export async function soak(bench: Bench, contender: Contender, seconds: number, wanted: number | undefined, told: (line: string) => void): Promise<Soak> {
  const { running } = contender;
  const rate = wanted ?? await soakRate(bench, contender, told);
  told(`${rate} requests/s asked for`);

  const at: number[] = [];
  const seen: Record<string, number[]> = { 'worker MiB': [], 'worker open files': [], 'worker core %': [], 'beside it MiB': [], 'unshipped MiB': [] };
  const began = performance.now();
  let used = processorSeconds(running.proxy);
  let usedAt = began;
  const sample = async (): Promise<void> => {
    const unshipped = await running.lag?.() ?? Number.NaN;
    const now = performance.now();
    // Connections that close are no figure of the load.
    if (now - began > (seconds - 0.5) * 1000) return;
    // A worker tells its metrics every few seconds: before the first time there is nothing to see.
    if (Number.isNaN(unshipped) && at.length === 0) return;
    const total = processorSeconds(running.proxy);
    const values = {
      'worker MiB': residentKiB(running.proxy) / 1024, 'worker open files': openFiles(running.proxy), 'worker core %': (total - used) / (now - usedAt) * 1e5,
      'beside it MiB': residentKiB(running.beside) / 1024, 'unshipped MiB': unshipped / 1024 / 1024,
    };
    used = total;
    usedAt = now;
    at.push((now - began) / 1000);
    for (const [name, value] of Object.entries(values)) seen[name]!.push(value);
    told(`${at.at(-1)!.toFixed(0)} s: ${Object.entries(values).map(([name, value]) => `${name} ${value.toFixed(1)}`).join(', ')}`);
  };
  let sampling: Promise<void> | undefined;
  let failure: Error | undefined;
  const timer = setInterval(() => {
    sampling ??= sample().catch((error: unknown) => { failure ??= error as Error; }).finally(() => { sampling = undefined; });
  }, Math.max(1000, seconds * 1000 / samples));
  let result: OpenLoopResult;
  try {
    result = await runLoad<OpenLoopResult>(bench.stage, 'open-loop', steadyJob(bench, contender, rate, seconds), { wrongIsAnError: false });
  } finally {
    clearInterval(timer);
    await sampling;
  }
  if (failure !== undefined) throw failure;
  const settled = at.findIndex((time) => time >= seconds * settledAfter);
  const minutes = at.slice(settled).map((time) => time / 60);
  return {
    seconds, rate, answered: result.count, wrong: result.wrong, problem: result.problem, p50: result.p50, p99: result.p99, at, series: seen,
    slopes: Object.fromEntries(Object.entries(seen).map(([name, values]) => [name, slope(minutes, values.slice(settled))])),
  };
}

export function soakTable(result: Soak): string {
  const { seconds, rate, answered, wrong, problem, p50, p99, series, slopes } = result;
  const rows = Object.entries(series).map(([name, values]) => {
    const settled = values.slice(Math.floor(values.length * settledAfter));
    const cells = [values[0], settled[0], values.at(-1), Math.min(...values), Math.max(...values), slopes[name]].map((value) => (value ?? Number.NaN).toFixed(1));
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  return [
    `### soak: ${rate} exchanges/s for ${seconds} s over 64 connections`, '',
    `${answered} answered, ${wrong} wrong${problem === null ? '' : ` (first: ${problem})`}; from when each was due p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms.`, '',
    `| | first | after ${settledAfter * 100} % | last | least | most | slope a minute after ${settledAfter * 100} % |`, '| --- | --- | --- | --- | --- | --- | --- |', ...rows,
  ].join('\n');
}
