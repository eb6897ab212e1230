import type { Clock } from '../../contracts/clock.ts';
import { leaseMs } from '../../contracts/run-api.ts';
import { isHosted } from '../agents/commands.ts';
import { makeChange } from '../change.ts';
import { startLoop, type Loop } from '../loop.ts';
import type { Services } from '../services.ts';
import { tryHoldSession } from '../sessions/commands.ts';
import { endRun } from './commands.ts';
import { launcherLost, overdueReason } from './rules.ts';
import { deleteIdempotencyKeysBefore, lockRun, selectOverdue } from './store.ts';

const everyMs = 500;
/** Runs that one round ends. */
const batch = 100;
const idempotencyKeptMs = 24 * 3600 * 1000;
/** A gap between rounds that means this process stood still (or the machine slept), and launchers with it. */
const standstillMs = 10_000;

/** Fails runs whose deadline, wall clock or launcher's lease has run out. Any number of replicas may do so at once. */
export function startReaper(services: Services): Loop {
  const lease = leaseWatch(services.clock);
  return startLoop(services, {
    name: 'reaper',
    every: everyMs,
    round: async () => {
      const leases = lease.count();
      const now = services.clock.now();
      for (const { run_id, session_id } of await selectOverdue(services.database.kysely, now, leases ? now : 0, batch)) {
        await reap(services, session_id, run_id, leases);
      }
    },
  });
}

/** Looks again with the session and the run locked: a heartbeat or an ending may have come first. */
async function reap(services: Services, session_id: string, run_id: string, leases: boolean): Promise<void> {
  await makeChange(services, async (change) => {
    if (!await tryHoldSession(change, session_id)) return;
    const run = await lockRun(change.trx, run_id);
    const reason = run && overdueReason(run, change.at, leases);
    if (run === undefined || reason === undefined) return;
    const who = reason === launcherLost && await isHosted(change, run_id) ? 'agent lost' : reason;
    await endRun(change, run, { to: 'Failed', reason: who }, { kind: 'system', id: 'reaper' });
  });
}

/** Leases count only once launchers have had their time to renew them: after a start, and after a standstill. */
function leaseWatch(clock: Clock): { count(): boolean } {
  let last = clock.now();
  let since = last;
  return {
    count: () => {
      const now = clock.now();
      if (now - last > standstillMs) since = now;
      last = now;
      return now - since >= leaseMs;
    },
  };
}

/** Forgets idempotency keys after a day. */
export function startIdempotencyExpiry(services: Services): Loop {
  return startLoop(services, {
    name: 'idempotency keys',
    every: 3600 * 1000,
    round: async () => { await deleteIdempotencyKeysBefore(services.database.kysely, services.clock.now() - idempotencyKeptMs); },
  });
}
