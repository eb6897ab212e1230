import { percentile } from '../report/statistics.ts';
import { answer, readJob, Wrongs, type LoadResult } from './job.ts';
import { open, requestHead, type Target } from './target.ts';

/**
 * Reads event streams through the proxy beside one that comes directly: the same events, each with the time it was sent. What a proxy
 * adds is by how much an event comes later than the same event came directly.
 */
export interface EventStreamsJob {
  readonly target: Target;
  readonly direct: Target;
  readonly streams: number;
  readonly seconds: number;
}

/** Milliseconds. `gap` is from sent to arrived. `count` is of events that came through the proxy. */
export interface EventStreamsResult extends LoadResult {
  readonly gap_p50: number;
  readonly gap_p99: number;
  readonly added_p50: number;
  readonly added_p99: number;
}

const { target, direct, streams, seconds } = await readJob<EventStreamsJob>();
const wrongs = new Wrongs();
const firstEventMs = 3_000;
/** For events under way when the measured time is over. */
const lastMs = 500;
let over = false;

/** When each event arrived, by when it was sent, in nanoseconds of the same clock. */
type Arrivals = Map<number, number>;

function listen(to: Target, name: string): Arrivals {
  const arrivals: Arrivals = new Map();
  let text = '';
  open(to, 0, (way) => {
    let head = '';
    way.onBytes = (bytes) => {
      const at = Number(process.hrtime.bigint());
      text += bytes.toString('latin1');
      if (head === '') {
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) return;
        head = text.slice(0, end);
        if (!/^HTTP\/1\.[01] 200 /.test(head)) wrongs.add(`${name} answered "${head.slice(0, 80)}"`);
        text = text.slice(end);
      }
      let taken = 0;
      for (const event of text.matchAll(/data: (\d+)\n\n/g)) {
        arrivals.set(Number(event[1]), at);
        taken = event.index + event[0].length;
      }
      text = text.slice(taken);
    };
    way.socket.write(requestHead(to, 'GET', '/events', 'Accept: text/event-stream\r\n'));
  }, (problem) => { if (!over) wrongs.add(`${name}: ${problem}`); });
  return arrivals;
}

const directly = listen(direct, 'direct');
const proxied = Array.from({ length: streams }, () => listen(target, 'a stream'));

/** Events of the measured time that came directly must have come by each stream, too. */
function finish(from: number): void {
  over = true;
  const wanted = [...directly].filter(([sent]) => sent >= from && sent < from + seconds * 1e9);
  const gaps: number[] = [];
  const added: number[] = [];
  for (const arrivals of proxied) {
    for (const [sent, came] of wanted) {
      const at = arrivals.get(sent);
      if (at === undefined) {
        wrongs.add(arrivals.size === 0 ? 'no event came' : 'an event did not come');
        continue;
      }
      gaps.push((at - sent) / 1e6);
      added.push((at - came) / 1e6);
    }
  }
  gaps.sort((a, b) => a - b);
  added.sort((a, b) => a - b);
  const result: EventStreamsResult = {
    count: gaps.length, seconds, wrong: wrongs.count, problem: wrongs.first,
    gap_p50: percentile(gaps, 0.5), gap_p99: percentile(gaps, 0.99), added_p50: percentile(added, 0.5), added_p99: percentile(added, 0.99),
  };
  answer(result);
  process.exit();
}

const deadline = performance.now() + firstEventMs;
const starting = setInterval(() => {
  if (proxied.some((arrivals) => arrivals.size === 0) && performance.now() < deadline) return;
  clearInterval(starting);
  const from = Number(process.hrtime.bigint());
  setTimeout(() => { finish(from); }, seconds * 1000 + lastMs);
}, 50);
