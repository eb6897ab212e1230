import type { ExchangesJob } from '../load/exchanges.ts';
import { reference } from '../peers/all.ts';
import { measured, rateColumns } from './measured.ts';
import { runLoad, targetOf } from './run-load.ts';
import type { Work } from './work.ts';

const bodyMiB = 32;
const bodyBytes = bodyMiB * 1024 * 1024;
const lanes = 4;

/** The counted thing is a MiB, so costs are microseconds for each. */
const bulk = (name: string, direction: 'down' | 'up', through: 'absolute' | 'tunnel'): Work => ({
  name, title: `${direction === 'down' ? 'Downloads' : 'Uploads'} of ${bodyMiB} MiB ${through === 'tunnel' ? 'through tunnels' : 'by plain HTTP'}, ${lanes} at a time (each: a MiB)`, columns: rateColumns('MiB/s'), summary: [{ column: `x ${reference}`, goal: '>= 1.1' }],
  fits: (peer) => through === 'absolute' || peer.tunnels,
  round: async (bench, contender) => {
    const target = targetOf(contender, bench.origins, 'bulk', through);
    // The origin answers an upload with its length as text.
    const job: ExchangesJob = {
      target, lanes, seconds: bench.seconds,
      ...(direction === 'down' ? { path: `/${bodyBytes}`, bytes: bodyBytes, upload: 0 } : { path: '/', bytes: String(bodyBytes).length, upload: bodyBytes }),
    };
    const { figures } = await measured(bench, contender, async () => {
      const result = await runLoad(bench.stage, 'exchanges', job);
      return { ...result, count: result.count * bodyMiB };
    });
    return figures;
  },
});

export const bulkWorks: readonly Work[] = [bulk('down', 'down', 'absolute'), bulk('up', 'up', 'absolute'), bulk('tunnel-down', 'down', 'tunnel'), bulk('tunnel-up', 'up', 'tunnel')];
