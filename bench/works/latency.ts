import type { OpenLoopJob, OpenLoopResult } from '../load/open-loop.ts';
import { direct } from '../peers/direct.ts';
import { reference } from '../peers/all.ts';
import { smallBytes } from '../stage.ts';
import { costColumns, measured } from './measured.ts';
import { runLoad, targetOf } from './run-load.ts';
import type { Work } from './work.ts';

const rate = 500;

export const latency: Work = {
  name: 'latency', title: `Latency at ${rate} requests/s, open loop, counted from when each was due (ms)`,
  columns: [
    { title: 'p50', figure: 'p50', digits: 3 },
    { title: 'added p50', figure: 'p50', digits: 3, against: { contender: direct.name, by: 'difference' } },
    { title: 'p99', figure: 'p99', digits: 2 },
    { title: `p99 x ${reference}`, figure: 'p99', digits: 2, against: { contender: reference, by: 'ratio' } },
    { title: 'p99.9', figure: 'p999', digits: 2 },
    { title: 'generator late p99', figure: 'late_p99', digits: 2 },
    ...costColumns(),
  ],
  summary: [{ column: 'added p50', goal: '<= 0.3', itself: 'added p50' }, { column: `p99 x ${reference}`, goal: '<= 1', itself: 'p99' }],
  fits: () => true,
  round: async (bench, contender) => {
    const target = targetOf(contender, bench.origins, 'small', 'absolute');
    const job: OpenLoopJob = { target, path: '/item', bytes: smallBytes, rate, connections: 64, seconds: bench.seconds, keep_alive: contender.peer.keepsAlive };
    const { result: { p50, p99, p999, late_p99 }, figures } = await measured(bench, contender, () => runLoad<OpenLoopResult>(bench.stage, 'open-loop', job));
    return { ...figures, p50, p99, p999, late_p99 };
  },
};
