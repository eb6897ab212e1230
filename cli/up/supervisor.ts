import type { Clock } from '../../contracts/clock.ts';
import { toSallyportError } from '../../contracts/errors.ts';
import type { UpstreamProxyRule } from '../../contracts/upstream-proxies.ts';
import { apiSocket } from '../data-folder-paths.ts';
import type { ListenAddress } from '../listen-address.ts';
import { adoptJournals } from './adopt-journals.ts';
import { Child } from './child.ts';
import { addressIn, describeControlPlane, describeJailHost, describeWorker } from './children.ts';
import { bindListeningSocket } from './listening-socket.ts';
import type { Addresses, ReadyReport } from './messages.ts';
import { ensureProxyToken } from './proxy-token.ts';
import { supervise, type Up } from './supervise.ts';
import { Workers } from './workers.ts';

export interface UpOptions {
  readonly dataFolder: string;
  /** `undefined`: sockets only. */
  readonly listen: ListenAddress | undefined;
  readonly api: ListenAddress | undefined;
  readonly workers: number;
  /** Default: every host is dialled directly. */
  readonly upstreamProxies?: readonly UpstreamProxyRule[];
  /** Authorities of origins beside the system's, in PEM. */
  readonly upstreamCa?: string | undefined;
  readonly policiesFolder: string;
  readonly databaseUrl: string | undefined;
  /** Milliseconds without a hold after which it ends; `undefined`: never by itself. */
  readonly idleMs: number | undefined;
  readonly childEnvironment: Readonly<Record<string, string>>;
}

/** Keeps a control plane, proxy workers and a jail host alive in a data folder. */
export async function startUp(options: UpOptions, clock: Clock): Promise<Up> {
  const { dataFolder, workers: count } = options;
  return await supervise(options, clock, async ({ log, own, note }) => {
    await adoptJournals(dataFolder, count);
    const common = { dataFolder, token: ensureProxyToken(dataFolder), environment: options.childEnvironment, log };
    // What port 0 became: a child that is restarted listens where its clients know it.
    let api = options.api;
    const controlPlane = new Child(describeControlPlane(common, { ...options, api: () => api }), clock);
    own(controlPlane);
    const listening = options.listen && bindListeningSocket(options.listen);
    if (listening !== undefined) own({ stop: () => listening.close() });
    // Their code is loaded meanwhile; their configuration waits for where the control plane listens.
    const known = Promise.withResolvers<Addresses>();
    const workers = new Workers(count, (slot) => describeWorker(common, {
      count, listening, jails: true, upstreamProxies: options.upstreamProxies ?? [], upstreamCa: options.upstreamCa,
      controlPlane: async () => ({ address: { socket_path: apiSocket(dataFolder) }, own: addressIn(await known.promise, 'api') }),
    }, slot), clock);
    own(workers);
    const starting = controlPlane.start().then((report) => {
      known.resolve(report.addresses);
      return report;
    });
    const report = merge(await Promise.all([starting, workers.start()]));
    api = addressIn(report.addresses, 'api');
    return {
      report,
      replaceWorkers: (drainMs) => workers.replace(drainMs),
      // Last, and not waited for: it has nothing to do before there is a run, and the others are what a run waits for.
      afterwards() {
        const host = new Child(describeJailHost(common), clock);
        own(host);
        host.start().catch((error: unknown) => note(toSallyportError(error).message));
      },
    };
  });
}

function merge(reports: readonly ReadyReport[]): ReadyReport {
  return {
    addresses: Object.assign({}, ...reports.map(({ addresses }) => addresses)) as ReadyReport['addresses'],
    notices: reports.flatMap(({ notices }) => notices),
  };
}
