import type { TlsOptions } from 'node:tls';
import { onHeads, startOrigin, startWireProxy, type Origin, type Peer, type WireProxy, type WireProxyOptions } from '../proxy/wire-world.ts';
import type { Lifetime } from './lifetime.ts';

export interface SecurePair {
  readonly origin: Origin;
  readonly proxy: WireProxy;
  readonly client: Peer;
  /** A request line and Host for the origin. */
  readonly start: (method?: string, path?: string) => string;
}

export const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** An origin in TLS that answers each head with `answer`, a proxy that permits everything as `https`, and one client. */
export async function securePair(lifetime: Lifetime, tls: TlsOptions, answer: string | ((peer: Peer, head: string, count: number) => void), options: WireProxyOptions = {}): Promise<SecurePair> {
  const origin = await startOrigin(lifetime, (peer) => onHeads(peer, (head, count) => { if (typeof answer === 'string') peer.send(answer); else answer(peer, head, count); }), { tls });
  return { origin, ...await secureProxy(lifetime, origin, options) };
}

/** The same before an origin that does what it likes. */
export async function secureProxy(lifetime: Lifetime, { port }: { readonly port: number }, options: WireProxyOptions = {}): Promise<Omit<SecurePair, 'origin'>> {
  const { permit } = options;
  const proxy = await startWireProxy(lifetime, { ...options, permit: async (exchange) => ({ scheme: 'https', ...await permit?.(exchange) }) });
  return { proxy, client: await proxy.connect(), start: (method = 'GET', path = '/') => `${method} http://a.test:${port}${path} HTTP/1.1\r\nHost: a.test\r\n` };
}
