import type { EventStreamsJob, EventStreamsResult } from '../load/event-streams.ts';
import { direct } from '../peers/direct.ts';
import { costColumns, measured } from './measured.ts';
import { runLoad, targetOf } from './run-load.ts';
import type { Work } from './work.ts';

const streams = 16;

export const events: Work = {
  name: 'events', title: `Server-sent events, one each 10 ms on ${streams} streams: how much later they come than the same event comes directly (ms)`,
  columns: [
    { title: 'added p50', figure: 'added_p50', digits: 3 },
    { title: 'added p99', figure: 'added_p99', digits: 3 },
    // The load reads one stream after the other, which it does where nothing is between, too.
    { title: 'less what direct adds', figure: 'added_p99', digits: 3, against: { contender: direct.name, by: 'difference' } },
    { title: 'sent to arrived p50', figure: 'gap_p50', digits: 3 },
    { title: 'sent to arrived p99', figure: 'gap_p99', digits: 3 },
    ...costColumns(),
  ],
  summary: [{ column: 'added p99', goal: '<= 1', itself: 'added p99' }],
  fits: () => true,
  round: async (bench, contender) => {
    const target = targetOf(contender, bench.origins, 'events', 'absolute');
    const job: EventStreamsJob = { target, direct: { port: bench.origins.events.port, form: 'origin', authority: target.authority, authorizations: [] }, streams, seconds: bench.seconds };
    const { result: { added_p50, added_p99, gap_p50, gap_p99 }, figures } = await measured(bench, contender, () => runLoad<EventStreamsResult>(bench.stage, 'event-streams', job));
    return { ...figures, added_p50, added_p99, gap_p50, gap_p99 };
  },
};
