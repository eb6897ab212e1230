import type { SettledAnswer } from '../../contracts/run-api.ts';
import { isTerminal } from '../../contracts/run.ts';
import { segmentMaxAgeMs } from '../../contracts/journal.ts';
import { countEvents, hasUnnumbered, lastArrival } from '../audit/commands.ts';
import { chainHead } from '../audit/sequencer.ts';
import { hasOutstanding } from '../budgets/commands.ts';
import { countProxies } from '../proxies/commands.ts';
import type { Services } from '../services.ts';
import { getRun } from './commands.ts';

const pollMs = 250;
/** A proxy that says nothing of a run's end has closed and shipped what it had of it by then. */
const silenceMs = segmentMaxAgeMs + 500;

/**
 * Whether all that an ended run did is in the tree, waited for at most `waitMs`: every connected proxy has applied its end and given its
 * allowance back (which it records after all else of the run), nothing is outstanding, and what has arrived has its place in the tree.
 */
export async function awaitSettled(services: Services, run_id: string, waitMs: number): Promise<SettledAnswer> {
  const deadline = services.clock.monotonic() + waitMs;
  // A stop ends the wait as it ends streams: with what is known by then.
  const hold = services.streams.hold();
  try {
    for (;;) {
      const left = deadline - services.clock.monotonic();
      const wait = services.signals.next([`run:${run_id}`, 'acknowledged', 'sequenced'], services.clock, Math.max(0, Math.min(pollMs, left)), hold.signal);
      const settled = await isSettled(services, run_id);
      if (settled || left <= 0 || hold.signal.aborted) {
        wait.cancel();
        return { settled, chain: await chainHead(services) };
      }
      await wait.over;
    }
  } finally {
    hold.release();
  }
}

async function isSettled(services: Services, run_id: string): Promise<boolean> {
  const database = services.database.kysely;
  const run = await getRun(database, run_id);
  if (!isTerminal(run.state) || await hasOutstanding(database, run_id)) return false;
  const { connected, acknowledged } = await countProxies(services, run.version);
  if (acknowledged < connected) return false;
  const quiet = services.clock.now() - (run.ended_at ?? 0) >= silenceMs;
  if (!quiet && await countEvents(database, run_id, 'allowance.returned') < connected) return false;
  return !await hasUnnumbered(database, await lastArrival(database));
}
