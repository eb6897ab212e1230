import { randomUUID } from 'node:crypto';
import { systemClock } from '../../contracts/clock.ts';
import type { CreatedRun, CreateRunInput } from '../../contracts/run-api.ts';
import { localApi } from '../api-client.ts';
import type { Environment } from '../config.ts';
import { apiSocket } from '../data-folder-paths.ts';
import { ensureUp } from '../up/ensure.ts';
import { persist } from './persist.ts';

/** Creates a run that needs no launcher: the `up` of the folder, which is started where there is none, starts and ends its agent. */
export async function handOver(dataFolder: string, environment: Environment, body: CreateRunInput): Promise<CreatedRun> {
  const link = await ensureUp(dataFolder, environment, systemClock);
  try {
    const api = localApi(apiSocket(dataFolder));
    const idempotencyKey = randomUUID();
    let up = true;
    void link.ended.then(() => { up = false; });
    return await persist(() => api.call<CreatedRun>('POST', '/chat/run', { idempotencyKey, body }), systemClock, { up: () => up });
  } finally {
    link.close();
  }
}
