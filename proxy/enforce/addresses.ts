import { classifyAddress } from '../../contracts/addresses.ts';
import type { RunSnapshot } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { RunPolicy } from '../../contracts/run-policy.ts';
import type { Egress } from '../describe/egress.ts';
import type { OwnAddresses } from '../describe/own-addresses.ts';
import type { LiveRun } from '../runs.ts';
import type { PermittedAddress } from './permit.ts';
import type { NameResolver, Resolution } from './resolver.ts';
import { UpstreamProxies, type UpstreamProxy, type Via } from './upstream-proxies.ts';

/** What a place resolves to, classified. The same object as long as nothing changed, so that what follows from it can be kept. */
export interface Candidates {
  readonly addresses: readonly PermittedAddress[];
}

const cachedMax = 4096;
/** A run may have a quarter of what is free being looked up, one name at least: a zone may be slow on purpose, and runs may collude. */
const shareOfLookups = 4;
/** They mean this machine or its own link, so another machine can't be asked to connect there (as browsers, which bypass a proxy for them). */
const local: ReadonlySet<string> = new Set(['loopback', 'link_local', 'unspecified']);

/** From a canonical host to classified addresses: a literal, the run's own `--resolve`, or the domain name system. */
export class AddressBook {
  readonly #resolver: NameResolver;
  readonly #own: OwnAddresses;
  /** By `host:port`: what was made of the last resolution. */
  readonly #classified = new Map<string, { readonly from: readonly string[]; readonly changes: number; readonly candidates: Candidates }>();

  /** By the policy that names them: addresses of `host:port`. */
  readonly #overrides = new WeakMap<RunPolicy, { readonly changes: number; readonly places: ReadonlyMap<string, Candidates> }>();

  readonly #lookups = new WeakMap<LiveRun, Set<string>>();
  readonly #upstreams: UpstreamProxies;
  readonly #mayAsk: (run: LiveRun, names: number) => boolean;
  readonly #rerouted = new WeakMap<Candidates, { readonly via: Via; readonly candidates: Candidates }>();
  /** By `host:port`. */
  readonly #delegated = new Map<string, { readonly via: Via; readonly candidates: Candidates }>();

  /** `mayAsk`: whether so many names may be looked up for a run at once; each that leads nowhere must be recorded. */
  constructor(resolver: NameResolver, own: OwnAddresses, upstreams: UpstreamProxies = new UpstreamProxies([], resolver), mayAsk: (run: LiveRun, names: number) => boolean = () => true) {
    this.#resolver = resolver;
    this.#mayAsk = mayAsk;
    this.#own = own;
    this.#upstreams = upstreams;
  }

  /** Throws `upstream_dns`, `overloaded` or `rate_limited`. */
  find(run: LiveRun, egress: Egress): Candidates | Promise<Candidates> {
    const proxy = this.#upstreams.of(egress.host);
    return proxy === undefined ? this.#direct(run, egress) : this.#through(proxy, run, egress);
  }

  async #through(proxy: UpstreamProxy, run: LiveRun, egress: Egress): Promise<Candidates> {
    const { host, port, is_ip_literal } = egress;
    // Localhost is here whatever anybody answers (RFC 6761, section 6.3), and what the run itself resolves needs no resolving.
    const resolved = is_ip_literal || !proxy.resolves || isLocalhost(host) || this.#named(run.snapshot, host, port) !== undefined;
    if (!resolved) return this.#delegate(host, port, await this.#viaOf(proxy));
    const candidates = await this.#direct(run, egress);
    return candidates.addresses.every(({ address_class }) => local.has(address_class)) ? candidates : this.#reroute(candidates, await this.#viaOf(proxy));
  }

  async #viaOf(proxy: UpstreamProxy): Promise<Via> {
    try {
      return await proxy.via();
    } catch (error) {
      const { code, message } = error as SallyportError;
      throw new SallyportError(code, `The upstream proxy for this host can't be found: ${message}`, { cause: error });
    }
  }

  #delegate(host: string, port: number, via: Via): Candidates {
    const key = `${host}:${port}`;
    const known = this.#delegated.get(key);
    if (known?.via === via) return known.candidates;
    const candidates: Candidates = { addresses: [{ address: host, family: 4, address_class: this.#upstreams.isNamed(host, port) ? 'self' : 'delegated', via }] };
    this.#delegated.set(key, { via, candidates });
    if (this.#delegated.size > cachedMax) this.#delegated.delete(this.#delegated.keys().next().value!);
    return candidates;
  }

  #reroute(direct: Candidates, via: Via): Candidates {
    const known = this.#rerouted.get(direct);
    if (known?.via === via) return known.candidates;
    const candidates: Candidates = { addresses: direct.addresses.map((address) => local.has(address.address_class) ? address : { ...address, via }) };
    this.#rerouted.set(direct, { via, candidates });
    return candidates;
  }

  #direct(run: LiveRun, { host, port, is_ip_literal }: Egress): Candidates | Promise<Candidates> {
    if (is_ip_literal) return this.#classify(host, port, [host]);
    const named = run.snapshot.policy.resolve.length === 0 ? undefined : this.#named(run.snapshot, host, port);
    if (named !== undefined) return named;
    const lookups = this.#lookups.get(run);
    if (!this.#resolver.knows(host) && !this.#mayAsk(run, (lookups?.size ?? 0) + 1)) {
      throw new SallyportError('rate_limited', 'So many requests of this run are refused that no further names are looked up for it.', { retry_after: 1 });
    }
    if (lookups !== undefined && lookups.size >= Math.max(1, Math.floor(this.#resolver.free / shareOfLookups)) && !lookups.has(host)) {
      throw new SallyportError('rate_limited', `${lookups.size} names are being resolved for this run already.`, { retry_after: 1 });
    }
    const resolution = this.#resolver.resolve(host);
    return resolution instanceof Promise ? this.#awaited(run, host, resolution).then((found) => this.#known(host, port, found)) : this.#known(host, port, resolution);
  }

  #awaited(run: LiveRun, host: string, resolution: Promise<Resolution>): Promise<Resolution> {
    const lookups = this.#lookups.get(run) ?? new Set();
    this.#lookups.set(run, lookups.add(host));
    return resolution.finally(() => {
      lookups.delete(host);
      if (lookups.size === 0) this.#lookups.delete(run);
    });
  }

  /** As curl's `--resolve`: the run's own addresses for this name and port. */
  #named({ policy }: RunSnapshot, host: string, port: number): Candidates | undefined {
    const { changes } = this.#own;
    let known = this.#overrides.get(policy);
    if (known?.changes !== changes) {
      const found = new Map<string, string[]>();
      for (const entry of policy.resolve) {
        const place = `${entry.host}:${entry.port}`;
        found.set(place, [...found.get(place) ?? [], entry.address]);
      }
      const places = new Map(Array.from(found, ([place, all]) => [place, { addresses: this.#classifyAll(Number(place.slice(place.lastIndexOf(':') + 1)), all) }]));
      known = { changes, places };
      this.#overrides.set(policy, known);
    }
    return known.places.get(`${host}:${port}`);
  }

  #known(host: string, port: number, { addresses }: Resolution): Candidates {
    return this.#classify(host, port, addresses);
  }

  #classify(host: string, port: number, from: readonly string[]): Candidates {
    const key = `${host}:${port}`;
    const known = this.#classified.get(key);
    const { changes } = this.#own;
    if (known?.changes === changes && (known.from === from || same(known.from, from))) return known.candidates;
    const candidates: Candidates = { addresses: this.#classifyAll(port, from) };
    this.#classified.set(key, { from, changes, candidates });
    if (this.#classified.size > cachedMax) this.#classified.delete(this.#classified.keys().next().value!);
    return candidates;
  }

  #classifyAll(port: number, addresses: readonly string[]): readonly PermittedAddress[] {
    return addresses.map((text) => {
      const classified = classifyAddress(text);
      if (classified === undefined) throw new SallyportError('upstream_dns', `The answer ${JSON.stringify(text)} is not an address.`);
      const { canonical, family, address_class } = classified;
      return { address: canonical, family, address_class: this.#own.has(canonical, port) ? 'self' : address_class };
    });
  }
}

function isLocalhost(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost');
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((address, index) => address === b[index]);
}
