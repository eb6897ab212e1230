import { readFileSync } from 'node:fs';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { privateAuthority } from '../helpers/private-authority.ts';
import { dnsZone } from '../helpers/world.ts';
import { ways, type Channel, type Client, type Place, type Way } from './client.ts';
import { startGrpcOrigin } from './origins/grpc.ts';
import { startListener, type SiteRequest } from './origins/listener.ts';
import { siteAnswers, type Part } from './origins/site.ts';

/** What an origin saw, by way. */
export interface Seen {
  readonly requests: readonly SiteRequest[];
  /** Octets on each connection, in order of their coming; undefined where the origin does not count. */
  readonly connections: readonly { bytesIn(): number }[] | undefined;
}

/** Sallyport, the hosts that clients are sent to, and one that nothing allows. */
export interface Scene {
  readonly installation: Installation;
  /** PEM files: of the origins' authority, and of the proxy's. */
  readonly originAuthority: string;
  readonly ourAuthority: () => Promise<string>;
  place(client: Client, way: Way, channel: Channel): Place;
  /** `refused` is a host that nothing allows. */
  refused(channel: Channel): Place;
  seen(client: Client, way: Way): Seen;
}

/** The names of files in a run's `trust/`. */
export const trustFiles = { origin: 'origin.pem', ours: 'sallyport.pem' } as const;

const labels: Readonly<Record<Way, string>> = { plain: 'plain', intercepted: 'seen', passthrough: 'tunnel' };

export async function startScene(lifetime: Lifetime, clients: readonly Client[], parts: Readonly<Record<string, Part>>): Promise<Scene> {
  const zone = dnsZone(lifetime);
  const authority = await privateAuthority(lifetime, `DNS:*.${zone.suffix}`);
  const installation = await startInstallation(lifetime, { up: ['--upstream-ca', authority.file] });
  const answers = siteAnswers(parts);
  const seen = new Map<string, Seen>();
  const withGrpc = clients.some(({ origin }) => origin === 'grpc');
  for (const way of ways) {
    const tls = way === 'plain' ? undefined : authority;
    const listener = await startListener(lifetime, answers, tls);
    await zone.set(labels[way], [listener.address]);
    seen.set(`site ${way}`, listener);
    if (!withGrpc) continue;
    const grpc = await startGrpcOrigin(lifetime, tls === undefined ? {} : { tls });
    const host = await zone.set(`grpc-${labels[way]}`, [grpc.address]);
    seen.set(`grpc ${way}`, {
      connections: undefined,
      get requests() {
        return grpc.calls.map(({ path, metadata, messages }): SiteRequest => ({
          method: 'POST', target: path, version: '2.0', host, headers: {}, rawHeaders: Object.entries(metadata).flatMap(([name, value]) => [name, String(value)]),
          body: () => Buffer.from(messages.join(' ')),
          answered: () => undefined,
        }));
      },
    });
  }

  const placeOf = (host: string, way: Way, channel: Channel): Place => ({
    way, channel, host,
    url: `${way === 'plain' ? 'http' : 'https'}://${host}`,
    webSocket: `${way === 'plain' ? 'ws' : 'wss'}://${host}`,
    trust: trustOf(way, channel),
  });
  let ours: Promise<string> | undefined;
  return {
    installation,
    originAuthority: readFileSync(authority.file, 'utf8'),
    ourAuthority: () => ours ??= exportedAuthority(installation),
    place: ({ origin }, way, channel) => placeOf(zone.name(origin === 'grpc' ? `grpc-${labels[way]}` : labels[way]), way, channel),
    refused: (channel) => placeOf(zone.name('refused'), 'intercepted', channel),
    seen: ({ origin = 'site' }, way) => seen.get(`${origin} ${way}`)!,
  };
}

/** In the jail our authority is in place; outside of it, and for what the proxy does not look into, a client has to be told. */
function trustOf(way: Way, channel: Channel): string | undefined {
  if (way === 'passthrough') return `$TRUST/${trustFiles.origin}`;
  return way === 'intercepted' && channel === 'credentials' ? `$TRUST/${trustFiles.ours}` : undefined;
}

async function exportedAuthority(installation: Installation): Promise<string> {
  const { code, stdout, stderr } = await installation.command(['ca', 'export']);
  if (code !== 0) throw new Error(`sallyport ca export ended with ${code}: ${stderr}`);
  return stdout;
}
