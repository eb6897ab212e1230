import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../contracts/clock.ts';
import { toSallyportError } from '../contracts/errors.ts';
import { ensureOperatorKey } from './access/commands.ts';
import { tokenSha256 } from './access/rules.ts';
import { AgentHub } from './agents/hub.ts';
import { createApp } from './app.ts';
import { ensureTree } from './audit/commands.ts';
import { checkAgainstSeal } from './audit/rules.ts';
import { loadSealKey } from './audit/seal-key.ts';
import { Sealer } from './audit/sealer.ts';
import { SealsFile } from './audit/seals-file.ts';
import { chainHead, sequence, startSequencer } from './audit/sequencer.ts';
import { startDrawExpiry } from './budgets/loop.ts';
import { postgresFolder, type Configuration } from './config.ts';
import { lockFile } from './database/folder-lock.ts';
import { openDatabase, type DatabaseLocation } from './database/open.ts';
import { listenOnSocket, listenOnTcp, type Listener } from './http/listen.ts';
import type { FaultListener } from './http/problems.ts';
import { Streams } from './http/streams.ts';
import { activateBundle, type Bundle } from './policies/commands.ts';
import { Hub } from './proxies/hub.ts';
import { startHints } from './proxies/hints.ts';
import { startProxyExpiry } from './proxies/loop.ts';
import { startIdempotencyExpiry, startReaper } from './runs/loop.ts';
import type { Services } from './services.ts';
import { Signals } from './signals.ts';

export interface ControlPlane {
  readonly addresses: { readonly api_socket: string; readonly api?: string };
  /** For a person, once. */
  readonly notices: readonly string[];
  stop(): Promise<void>;
}

export interface Surroundings {
  readonly clock: Clock;
  readonly onFault: FaultListener;
  readonly loadBundle: (folder: string) => Promise<Bundle>;
  readonly embedded?: DatabaseLocation['embedded'];
}

/** Requests in work when a stop begins have this long. */
const stopMs = 3_000;

/** Starts all of it; what was started before a failure is ended again. */
export async function startControlPlane(configuration: Configuration, { clock, onFault, loadBundle, embedded }: Surroundings): Promise<ControlPlane> {
  const folder = configuration.data_folder;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // An embedded database takes this lock itself. Without one it still keeps an orphan of a supervisor that died, which would take the
  // socket with it when it ends, from overlapping with its successor.
  const lock = configuration.database_url === undefined ? undefined : await lockFile(join(folder, 'postgres.lock'));
  const [bundle, database] = await Promise.allSettled([
    loadBundle(configuration.policies_folder),
    openDatabase({ url: configuration.database_url, folder: postgresFolder(configuration), embedded }, clock),
  ]);
  if (database.status === 'rejected') {
    lock?.release();
    throw database.reason;
  }
  const ends: (() => Promise<void>)[] = [async () => {
    await database.value.close();
    lock?.release();
  }];
  const end = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const step of ends.toReversed()) await step().catch((error: unknown) => { failures.push(error); });
    if (failures.length > 0) throw failures[0];
  };
  try {
    if (bundle.status === 'rejected') throw bundle.reason;
    const services: Services = {
      database: database.value,
      clock,
      random: randomBytes,
      signals: new Signals(),
      streams: new Streams(),
      onFault,
      proxyTokenSha256: tokenSha256(configuration.data_plane_token),
    };
    const seals = new SealsFile(join(folder, 'seals.jsonl'));
    await ensureTree(services);
    checkAgainstSeal(await chainHead(services), await seals.last());
    const sealer = new Sealer(services, await loadSealKey(join(folder, 'keys'), configuration.installation_origin, services.random), seals);
    await activateBundle(services, bundle.value);
    const key = configuration.api_listen === undefined ? undefined : await ensureOperatorKey(services);

    ends.push(async () => {
      await sequence(services);
      await sealer.sealRest();
    });
    const loops = [startSequencer, startHints, startReaper, startIdempotencyExpiry, startDrawExpiry, startProxyExpiry].map((start) => start(services));
    loops.push(sealer.start());
    ends.push(async () => { await Promise.all(loops.map((loop) => loop.stop())); });
    const hub = new Hub(services);
    ends.push(() => hub.stop());
    const agents = new AgentHub(services);
    ends.push(() => agents.stop());

    const handler = createApp(services, hub, agents, sealer).callback();
    const listeners: Listener[] = [];
    ends.push(async () => {
      services.streams.stop();
      await Promise.all(listeners.map((listener) => listener.stop(stopMs)));
    });
    listeners.push(await listenOnSocket(configuration.api_socket, handler));
    const tcp = configuration.api_listen && await listenOnTcp(configuration.api_listen, handler);
    if (tcp !== undefined) listeners.push(tcp);

    return {
      addresses: { api_socket: configuration.api_socket, ...tcp !== undefined && { api: tcp.address } },
      notices: key === undefined ? [] : [`The API's first key, shown only now: ${key}`],
      stop: end,
    };
  } catch (error) {
    await end().catch((second: unknown) => { onFault(toSallyportError(second), 'the end of a failed start'); });
    throw error;
  }
}
