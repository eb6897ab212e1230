import { startLoop, type Loop } from '../loop.ts';
import type { Services } from '../services.ts';
import { deleteDrawsBefore } from './store.ts';

/** A draw is repeated within seconds; its answer is kept for longer than any proxy goes on trying. */
const keptMs = 3600 * 1000;

export function startDrawExpiry(services: Services): Loop {
  return startLoop(services, { name: 'draws', every: 600_000, round: async () => { await deleteDrawsBefore(services.database.kysely, services.clock.now() - keptMs); } });
}
