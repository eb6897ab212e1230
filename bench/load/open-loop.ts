import { Worker } from 'node:worker_threads';
import { percentile } from '../report/statistics.ts';
import { AnswerReader } from './answer-reader.ts';
import { answer, readJob, Wrongs, type LoadResult } from './job.ts';
import { open, requestHead, type Target, type Way } from './target.ts';

/**
 * Requests that are due at fixed times, whatever has become of those before. Latency counts from the time a request was due, so a stall
 * is charged to every request that waits for it (no coordinated omission).
 */
export interface OpenLoopJob {
  readonly target: Target;
  readonly path: string;
  readonly bytes: number;
  readonly rate: number;
  readonly connections: number;
  readonly seconds: number;
  /** False: each request has a connection of its own. */
  readonly keep_alive: boolean;
}

/** Milliseconds. */
export interface OpenLoopResult extends LoadResult {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly longest: number;
  /** By how much the generator itself was late, 99th percentile: part of all of the above. */
  readonly late_p99: number;
}

const { target, path, bytes, rate, connections, seconds, keep_alive } = await readJob<OpenLoopJob>();
const graceMs = 10_000;
const total = Math.round(rate * seconds);
const periodMs = 1000 / rate;
/** Above 1,000 a second several are sent with each tick. */
const tickMs = Math.max(periodMs, 1);
const wrongs = new Wrongs();
const latencies = new Float64Array(total);
const late = new Float64Array(total);
let answered = 0;
let sent = 0;
let over = 0;

const now = (): number => Number(process.hrtime.bigint() - epoch) / 1e6;
const epoch = process.hrtime.bigint();
const startMs = 100;

/** Due times of requests for which no connection is free. */
const waiting: number[] = [];
const free: Lane[] = [];

interface Lane {
  way: Way | undefined;
  due: number;
}

function send(lane: Lane, due: number): void {
  lane.due = due;
  if (lane.way !== undefined) {
    lane.way.socket.write(request);
    return;
  }
  const reader = new AnswerReader(bytes);
  const end = (problem: string): void => {
    way.socket.destroy();
    lane.way = undefined;
    // An idle connection may be closed by the other side; the next request opens another.
    if (!Number.isNaN(lane.due)) settle(lane, problem);
  };
  const way = open(target, 0, (ready) => {
    lane.way = ready;
    ready.onBytes = (received) => {
      try {
        if (Number.isNaN(lane.due)) throw new Error('an answer that nobody asked for');
        if (reader.take(received) === 'more') return;
        if (!keep_alive) {
          lane.way = undefined;
          ready.socket.destroy();
        }
        settle(lane);
      } catch (error) {
        end((error as Error).message);
      }
    };
    ready.socket.write(request);
  }, end);
}

function settle(lane: Lane, problem?: string): void {
  if (problem === undefined) latencies[answered++] = now() - lane.due;
  else wrongs.add(problem);
  lane.due = Number.NaN;
  over++;
  const next = waiting.shift();
  if (next === undefined) free.push(lane);
  else send(lane, next);
  if (over === total) finish();
}

function tick(): void {
  const at = now();
  while (sent < total) {
    const due = startMs + sent * periodMs;
    if (due > at) break;
    late[sent++] = at - due;
    const lane = free.pop();
    if (lane === undefined) waiting.push(due);
    else send(lane, due);
  }
}

function finish(): void {
  const sorted = latencies.subarray(0, answered).sort();
  const result: OpenLoopResult = {
    count: answered, seconds, wrong: wrongs.count, problem: wrongs.first,
    p50: percentile(sorted, 0.5), p90: percentile(sorted, 0.9), p99: percentile(sorted, 0.99), p999: percentile(sorted, 0.999), longest: sorted.at(-1) ?? Number.NaN,
    late_p99: percentile(late.subarray(0, sent).sort(), 0.99),
  };
  answer(result);
  process.exit();
}

const request = requestHead(target, 'GET', path);
for (let index = 0; index < connections; index++) free.push({ way: undefined, due: Number.NaN });
const metronome = new Worker(new URL('./metronome.ts', import.meta.url), { workerData: { start: epoch + BigInt(startMs * 1e6), period: tickMs * 1e6 } });
metronome.on('message', tick);
setTimeout(() => {
  wrongs.add(`${total - over} requests without an answer ${graceMs / 1000} s later`);
  finish();
}, startMs + seconds * 1000 + graceMs);
