import { startLoop, type Loop } from '../loop.ts';
import type { Services } from '../services.ts';
import { deleteProxiesBefore } from './store.ts';

/** A worker has another id after each start, so the list would only grow. */
const keptMs = 24 * 3600 * 1000;

export function startProxyExpiry(services: Services): Loop {
  return startLoop(services, { name: 'proxies', every: 3600 * 1000, round: async () => { await deleteProxiesBefore(services.database.kysely, services.clock.now() - keptMs); } });
}
