import type { Acknowledgement, Draw, DrawAnswer } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { mayDrawFor } from '../audit/commands.ts';
import { drawAllowance } from '../budgets/commands.ts';
import { makeChange, type Change } from '../change.ts';
import { mayDraw } from '../runs/commands.ts';
import type { Services } from '../services.ts';
import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
import { countAcknowledged, selectConnectedJournals, selectProxies, selectState, setAcknowledged, setRevision, type ProxyRow } from './store.ts';
import { nextVersion } from './versions.ts';

/** Throws `not_found` for a proxy that has no stream. */
export async function acknowledge(services: Services, { proxy_id, version, revision }: Acknowledgement): Promise<void> {
  await makeChange(services, async (change) => {
    if (!await setAcknowledged(change.trx, proxy_id, version, revision)) {
      throw new SallyportError('not_found', `Proxy ${proxy_id} has not opened GET /data-plane/stream.`);
    }
    change.signal('acknowledged');
  });
}

/** Another replica's acknowledgements are seen by looking. */
const pollMs = 50;

/** How many proxies are connected to any replica, and how many of them have applied `version`. */
export async function countProxies(services: Services, version: number): Promise<{ readonly connected: number; readonly acknowledged: number }> {
  return await countAcknowledged(services.database.kysely, version, services.clock.now());
}

/** Waits until every connected proxy has applied `version`, at most `forMs`. Gives how many are connected, and how many have. */
export async function awaitAcknowledged(services: Services, version: number, forMs: number): Promise<{ readonly connected: number; readonly acknowledged: number }> {
  const deadline = services.clock.monotonic() + forMs;
  for (;;) {
    const wait = services.signals.next(['acknowledged'], services.clock, services.database.shared ? pollMs : deadline - services.clock.monotonic());
    const counts = await countProxies(services, version);
    if (counts.acknowledged >= counts.connected || services.clock.monotonic() >= deadline) {
      wait.cancel();
      return counts;
    }
    await wait.over;
  }
}

/** A refused draw is an answer, not an error: a run that is over, another epoch, or a journal that was closed gets nothing. */
export async function draw(services: Services, request: Draw): Promise<DrawAnswer> {
  return await drawAllowance(services, request, {
    mayDraw: async (change) => await mayDraw(change, request.run_id, request.epoch) && await mayDrawFor(change, request.journal_id),
    connected: async (change, journal_ids) => new Set(await selectConnectedJournals(change.trx, journal_ids, change.at)),
  });
}

/** The policy that proxies are to have; `undefined` before the first. */
export async function activeRevision(database: Kysely<Tables>): Promise<string | undefined> {
  return (await selectState(database)).revision;
}

/** Tells all proxies to load this revision from now on. */
export async function announceRevision(change: Change, revision: string): Promise<void> {
  await setRevision(change.trx, revision, await nextVersion(change));
}

export interface ProxyView extends ProxyRow {
  readonly connected: boolean;
}

const listed = 1_000;

export async function listProxies(services: Services): Promise<readonly ProxyView[]> {
  const now = services.clock.now();
  return (await selectProxies(services.database.kysely, listed)).map((row) => ({ ...row, connected: row.connected_until > now }));
}
