import { isIP } from 'node:net';
import { indexRules, readProxyUrl, ruleOf, type UpstreamProxyRule } from '../../contracts/upstream-proxies.ts';
import { OwnAddresses, type Endpoint } from '../describe/own-addresses.ts';
import type { NameResolver, Resolution } from './resolver.ts';

/** An upstream proxy that a connection goes by: reached by the operator's word, whatever class its addresses have. */
export interface Via {
  /** `host:port`, for people and the record. */
  readonly name: string;
  readonly addresses: readonly string[];
  readonly port: number;
  /** The proxy resolves the host by itself. */
  readonly resolves: boolean;
  /** Value of `Proxy-Authorization`. */
  readonly authorization: string | undefined;
}

/** Addresses of one proxy that stay ours. */
const foundMax = 256;

/** The operator's way out for some hosts (docs/decisions/0010-upstream-proxies.md). */
export class UpstreamProxy {
  readonly endpoint: Endpoint;
  readonly resolves: boolean;
  readonly #authorization: string | undefined;
  readonly #resolver: NameResolver;
  readonly #onMoved: () => void;
  /** Where it was ever found: a name with several addresses may give them in turns, and each is still the proxy. */
  readonly #found = new Set<string>();
  #via: Via | undefined;
  #from: Resolution | undefined;

  constructor({ resolve, credentials }: UpstreamProxyRule, endpoint: Endpoint, resolver: NameResolver, onMoved: () => void) {
    this.endpoint = endpoint;
    this.resolves = resolve === 'there';
    this.#authorization = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;
    this.#resolver = resolver;
    this.#onMoved = onMoved;
    if (isIP(endpoint.host) !== 0) {
      this.#via = this.#viaOf([endpoint.host]);
      this.#found.add(endpoint.host);
    }
  }

  /** Where it was found, now and before. */
  get addresses(): readonly string[] { return [...this.#found]; }

  /** The same object for as long as it is found at the same place. Throws or rejects as the resolver does. */
  via(): Via | Promise<Via> {
    if (isIP(this.endpoint.host) !== 0) return this.#via!;
    const found = this.#resolver.resolve(this.endpoint.host);
    return found instanceof Promise ? found.then((resolution) => this.#isAt(resolution)) : this.#isAt(found);
  }

  #isAt(resolution: Resolution): Via {
    if (this.#via !== undefined && this.#from === resolution) return this.#via;
    this.#from = resolution;
    this.#via = this.#viaOf(resolution.addresses);
    const known = this.#found.size;
    for (const address of resolution.addresses) this.#found.add(address);
    for (const oldest of [...this.#found].slice(0, Math.max(0, this.#found.size - foundMax))) this.#found.delete(oldest);
    if (this.#found.size !== known || known === foundMax) this.#onMoved();
    return this.#via;
  }

  #viaOf(addresses: readonly string[]): Via {
    const { host, port } = this.endpoint;
    return { name: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, addresses, port, resolves: this.resolves, authorization: this.#authorization };
  }
}

/** All upstream proxies of one worker. No run may speak to one of them by itself: `has` and `isNamed` say what that would be. */
export class UpstreamProxies {
  readonly #index: ReadonlyMap<string, number>;
  /** By position of their rule; undefined is direct. */
  readonly #proxies: readonly (UpstreamProxy | undefined)[];
  #own = new OwnAddresses([]);
  /** Grows with each change of what `has` says. */
  changes = 0;

  constructor(rules: readonly UpstreamProxyRule[], resolver: NameResolver) {
    this.#index = indexRules(rules);
    this.#proxies = rules.map((rule) => {
      const endpoint = readProxyUrl(rule.proxy);
      return typeof endpoint === 'string' ? undefined : new UpstreamProxy(rule, endpoint, resolver, () => this.#moved());
    });
    this.#moved();
  }

  /** Looks for those that have names, so that their addresses are ours from the start. One that is not found now is looked for at its first use. */
  async start(): Promise<void> {
    await Promise.allSettled(this.#proxies.map(async (proxy) => await proxy?.via()));
  }

  /** Undefined: dialled directly. */
  of(host: string): UpstreamProxy | undefined {
    if (this.#proxies.length === 0) return undefined;
    const position = ruleOf(this.#index, host);
    return position === undefined ? undefined : this.#proxies[position];
  }

  has(address: string, port: number): boolean {
    return this.#own.has(address, port);
  }

  isNamed(host: string, port: number): boolean {
    return this.#proxies.some((proxy) => proxy !== undefined && proxy.endpoint.host === host && proxy.endpoint.port === port);
  }

  #moved(): void {
    this.changes++;
    this.#own = new OwnAddresses((this.#proxies ?? []).flatMap((proxy) => proxy?.addresses.map((host) => ({ host, port: proxy.endpoint.port })) ?? []));
  }
}
