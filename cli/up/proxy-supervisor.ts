import type { UpstreamProxyRule } from '../../contracts/upstream-proxies.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { ListenAddress } from '../listen-address.ts';
import { adoptJournals } from './adopt-journals.ts';
import { describeWorker } from './children.ts';
import { bindListeningSocket } from './listening-socket.ts';
import { supervise, type Up } from './supervise.ts';
import { Workers } from './workers.ts';

export interface ProxyOptions {
  readonly dataFolder: string;
  readonly listen: ListenAddress;
  readonly workers: number;
  /** Its control plane; `ca` in PEM. */
  readonly controlPlane: { readonly url: string; readonly ca?: string };
  readonly token: string;
  readonly upstreamProxies: readonly UpstreamProxyRule[];
  /** Authorities of origins beside the system's, in PEM. */
  readonly upstreamCa: string | undefined;
  readonly childEnvironment: Readonly<Record<string, string>>;
}

/** Keeps the workers of a proxy alive whose control plane is elsewhere. Jailed runs have their machine's own. */
export async function startProxy(options: ProxyOptions, clock: Clock): Promise<Up> {
  const { dataFolder, token, workers: count } = options;
  return await supervise({ dataFolder, idleMs: undefined }, clock, async ({ log, own }) => {
    await adoptJournals(dataFolder, count);
    const common = { dataFolder, token, environment: options.childEnvironment, log };
    const listening = bindListeningSocket(options.listen);
    own({ stop: () => listening.close() });
    const workers = new Workers(count, (slot) => describeWorker(common, {
      count, listening, jails: false, upstreamProxies: options.upstreamProxies, upstreamCa: options.upstreamCa, controlPlane: () => Promise.resolve({ address: options.controlPlane, own: undefined }),
    }, slot), clock);
    own(workers);
    return { report: await workers.start(), replaceWorkers: (drainMs) => workers.replace(drainMs) };
  });
}
