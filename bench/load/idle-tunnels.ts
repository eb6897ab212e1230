import { AnswerReader } from './answer-reader.ts';
import { answer, lines, readJob, Wrongs } from './job.ts';
import { open, requestHead, type Target, type Way } from './target.ts';

/**
 * Opens tunnels and leaves them idle. It answers `Opened`; asked again (by any line), it sends a request through some of them, answers
 * `Probed` and ends.
 */
export interface IdleJob {
  readonly target: Target;
  readonly tunnels: number;
  readonly bytes: number;
  /** Tunnels that must still work at the end, evenly chosen. */
  readonly probes: number;
}

interface Troubles {
  readonly wrong: number;
  readonly problem: string | null;
}

export interface Opened extends Troubles {
  readonly opened: number;
  readonly seconds: number;
}

export interface Probed extends Troubles {
  readonly alive: number;
}

const { target, tunnels, bytes, probes } = await readJob<IdleJob>();
const atOnce = 64;
const openMs = 120_000;
const probeMs = 15_000;
const wrongs = new Wrongs();
const ways: Way[] = [];
const began = performance.now();

await new Promise<void>((resolve) => {
  let started = 0;
  let settled = 0;
  const deadline = setTimeout(() => { wrongs.add(`only ${ways.length} tunnels after ${openMs / 1000} s`); resolve(); }, openMs);
  const next = (): void => {
    if (settled === tunnels) {
      clearTimeout(deadline);
      resolve();
      return;
    }
    while (started < tunnels && started - settled < atOnce) openOne(started++);
  };
  const openOne = (turn: number): void => {
    let opened = false;
    open(target, turn, (way) => {
      opened = true;
      settled++;
      way.onBytes = () => { wrongs.add('bytes in an idle tunnel'); };
      ways.push(way);
      next();
    }, (problem) => {
      wrongs.add(problem);
      if (opened) return;
      settled++;
      next();
    });
  };
  next();
});
answer({ opened: ways.length, seconds: (performance.now() - began) / 1000, wrong: wrongs.count, problem: wrongs.first } satisfies Opened);

await new Promise((resolve) => { lines.once('line', resolve); });
const request = requestHead(target, 'GET', '/probe');
const every = Math.max(1, Math.floor(ways.length / probes));
const chosen = ways.filter((_, index) => index % every === 0).slice(0, probes);
const answers = await Promise.all(chosen.map((way) => new Promise<boolean>((resolve) => {
  const reader = new AnswerReader(bytes);
  way.onBytes = (received) => {
    try {
      if (reader.take(received) === 'whole') resolve(true);
    } catch (error) {
      wrongs.add((error as Error).message);
      resolve(false);
    }
  };
  setTimeout(() => { wrongs.add('no answer through an idle tunnel'); resolve(false); }, probeMs).unref();
  way.socket.write(request);
})));
answer({ alive: answers.filter(Boolean).length, wrong: wrongs.count, problem: wrongs.first } satisfies Probed);
process.exit();
