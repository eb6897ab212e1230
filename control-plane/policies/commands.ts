import { SallyportError } from '../../contracts/errors.ts';
import { makeChange } from '../change.ts';
import { activeRevision, announceRevision } from '../proxies/commands.ts';
import type { Services } from '../services.ts';
import { insertBundle, selectBundle } from './store.ts';

export interface Bundle {
  /** Content hash of the compiled policy. */
  readonly revision: string;
  /** As proxies load it (engine/). */
  readonly body: Uint8Array;
}

/** Makes this the policy of all proxies; does nothing where it is already. */
export async function activateBundle(services: Services, { revision, body }: Bundle): Promise<void> {
  if (await activeRevision(services.database.kysely) === revision) return;
  await makeChange(services, async (change) => {
    await insertBundle(change.trx, revision, body, change.at);
    await announceRevision(change, revision);
    change.record({ type: 'policy.activated', actor: { kind: 'system', id: 'policies' }, facts: { revision }, payload: {} });
  });
}

/** Throws `not_found`. */
export async function getBundle(services: Services, revision: string): Promise<Buffer> {
  const body = await selectBundle(services.database.kysely, revision);
  if (body === undefined) throw new SallyportError('not_found', `There is no policy bundle of revision ${revision}.`);
  return body;
}
