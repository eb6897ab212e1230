import { toSallyportError } from '../../contracts/errors.ts';
import { toDatabaseError } from '../database/failures.ts';
import type { Listening } from '../database/postgres.ts';
import { changesChannel } from '../database/channel.ts';
import { startLoop, type Loop } from '../loop.ts';
import type { Services } from '../services.ts';

/** How soon a connection for hints that was lost is tried again. */
const retryMs = 2_000;

/** Hears of other replicas' changes at once, where the database can tell; without it they are found by looking, within a second. */
export function startHints(services: Services): Loop {
  const { listen } = services.database;
  let listening: Listening | undefined;
  const loop = startLoop(services, { name: 'hints', every: retryMs, round: async () => {
    if (listen === undefined || listening !== undefined) return;
    listening = await listen(changesChannel, () => services.signals.emit('runs'), () => { listening = undefined; });
    services.signals.emit('runs');
  } });
  return {
    stop: async () => {
      await loop.stop();
      await listening?.stop().catch((error: unknown) => { services.onFault(toSallyportError(toDatabaseError(error)), 'hints'); });
    },
  };
}
