import type { ExchangesJob } from '../load/exchanges.ts';
import { smallBytes } from '../stage.ts';
import { reference } from '../peers/all.ts';
import { measured, rateColumns } from './measured.ts';
import { runLoad, targetOf } from './run-load.ts';
import type { Work } from './work.ts';

export const connect: Work = {
  name: 'connect', title: 'CONNECT set-ups: new connection, CONNECT, one GET of 1 KiB inside, close; 64 at a time', columns: rateColumns('set-ups/s'), summary: [{ column: `x ${reference}`, goal: '>= 1.2' }],
  fits: (peer) => peer.tunnels,
  round: async (bench, contender) => {
    const target = targetOf(contender, bench.origins, 'small', 'tunnel');
    const job: ExchangesJob = { target, path: '/item', bytes: smallBytes, upload: 0, lanes: 64, seconds: bench.seconds };
    return (await measured(bench, contender, () => runLoad(bench.stage, 'exchanges', job))).figures;
  },
};
