import type { UpstreamProxyRule } from '../../contracts/upstream-proxies.ts';
import { apiSocket } from '../data-folder-paths.ts';
import { parseListenAddress, type ListenAddress } from '../listen-address.ts';
import type { HostConfiguration } from './agent-host.ts';
import type { ChildDescription } from './child.ts';
import { formatAddress } from './describe.ts';
import type { ListeningSocket } from './listening-socket.ts';
import type { Addresses } from './messages.ts';

/** What the children of one supervisor have in common. */
export interface Common {
  readonly dataFolder: string;
  readonly token: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly log: Pick<ChildDescription, 'log' | 'logFile'>;
}

export interface ControlPlaneOptions {
  readonly policiesFolder: string;
  readonly databaseUrl: string | undefined;
  readonly api: () => ListenAddress | undefined;
}

export function describeControlPlane({ dataFolder, token, environment, log }: Common, { policiesFolder, databaseUrl, api }: ControlPlaneOptions): ChildDescription {
  return {
    ...log, environment,
    name: 'control plane',
    script: new URL('../../control-plane/main.ts', import.meta.url),
    configuration: () => {
      const api_listen = api();
      return {
        data_folder: dataFolder, api_socket: apiSocket(dataFolder), policies_folder: policiesFolder, data_plane_token: token,
        ...(databaseUrl !== undefined && { database_url: databaseUrl }), ...(api_listen !== undefined && { api_listen }),
      };
    },
  };
}

export interface WorkerOptions {
  readonly count: number;
  readonly listening: ListeningSocket | undefined;
  /** As the worker's own configuration has them (proxy/config.ts), once they are known: it loads its code meanwhile. */
  readonly controlPlane: () => Promise<{ readonly address: object; readonly own: ListenAddress | undefined }>;
  /** Whether jailed runs live on this machine. */
  readonly jails: boolean;
  readonly upstreamProxies: readonly UpstreamProxyRule[];
  /** In PEM. */
  readonly upstreamCa: string | undefined;
}

/** The first descriptor after the standard ones and the channel of messages. */
const inheritedDescriptor = 4;

export function describeWorker({ dataFolder, token, environment, log }: Common, { count, listening, controlPlane, jails, upstreamProxies, upstreamCa }: WorkerOptions, slot: number): ChildDescription {
  return {
    ...log, environment,
    name: count === 1 ? 'proxy worker' : `proxy worker ${slot}`,
    script: new URL('../../proxy/main.ts', import.meta.url),
    ...(listening !== undefined && { descriptors: [listening.descriptor] }),
    configuration: async () => {
      const { address, own } = await controlPlane();
      return {
        data_folder: dataFolder, slot, control_plane: address, data_plane_token: token, durability: 'crash', jails, upstream_proxies: upstreamProxies,
        ...(upstreamCa !== undefined && { upstream_ca: upstreamCa }),
        own_addresses: [listening?.address, own].filter((known) => known !== undefined),
        ...(listening !== undefined && { listen: { descriptor: inheritedDescriptor } }),
      };
    },
  };
}

export function describeJailHost({ dataFolder, token, environment, log }: Common): ChildDescription {
  return {
    ...log, environment,
    name: 'jail host',
    script: new URL('./jail-host.ts', import.meta.url),
    configuration: (): HostConfiguration => ({ data_folder: dataFolder, data_plane_token: token }),
  };
}

/** Where a ready message says that something listens. */
export function addressIn(addresses: Addresses, name: string): ListenAddress | undefined {
  const text = formatAddress(addresses[name]);
  const parsed = text === undefined ? { mistake: 'absent' } : parseListenAddress(text);
  return 'mistake' in parsed ? undefined : parsed.value;
}
