import { classifyAddress } from '../../contracts/addresses.ts';
import type { RunSnapshot } from '../../contracts/data-plane.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { RunPolicy } from '../../contracts/run-policy.ts';
import type { Egress } from '../describe/egress.ts';
import type { OwnAddresses } from '../describe/own-addresses.ts';
import type { LiveRun } from '../runs.ts';
import type { PermittedAddress } from './permit.ts';
import type { NameResolver, Resolution } from './resolver.ts';

/** What a place resolves to, classified. The same object as long as nothing changed, so that what follows from it can be kept. */
export interface Candidates {
  readonly addresses: readonly PermittedAddress[];
}

const cachedMax = 4096;
/** Names of one run that are being looked up; all runs together have four times as many (resolver.ts), and a zone may be slow on purpose. */
const lookupsPerRun = 64;

/** From a canonical host to classified addresses: a literal, the run's own `--resolve`, or the domain name system. */
export class AddressBook {
  readonly #resolver: NameResolver;
  readonly #own: OwnAddresses;
  /** By `host:port`: what was made of the last resolution. */
  readonly #classified = new Map<string, { readonly from: readonly string[]; readonly candidates: Candidates }>();

  /** By the policy that names them: addresses of `host:port`. */
  readonly #overrides = new WeakMap<RunPolicy, ReadonlyMap<string, Candidates>>();

  readonly #lookups = new WeakMap<LiveRun, Set<string>>();

  constructor(resolver: NameResolver, own: OwnAddresses) {
    this.#resolver = resolver;
    this.#own = own;
  }

  /** Throws `upstream_dns`, `overloaded` or `rate_limited`. */
  find(run: LiveRun, { host, port, is_ip_literal }: Egress): Candidates | Promise<Candidates> {
    if (is_ip_literal) return this.#classify(host, port, [host]);
    const named = run.snapshot.policy.resolve.length === 0 ? undefined : this.#named(run.snapshot, host, port);
    if (named !== undefined) return named;
    const lookups = this.#lookups.get(run);
    if (lookups !== undefined && lookups.size >= lookupsPerRun && !lookups.has(host)) {
      throw new SallyportError('rate_limited', `More than ${lookupsPerRun} names are being resolved for this run.`, { retry_after: 1 });
    }
    const resolution = this.#resolver.resolve(host);
    return resolution instanceof Promise ? this.#awaited(run, host, resolution).then((found) => this.#known(host, port, found)) : this.#known(host, port, resolution);
  }

  #awaited(run: LiveRun, host: string, resolution: Promise<Resolution>): Promise<Resolution> {
    const lookups = this.#lookups.get(run) ?? new Set();
    this.#lookups.set(run, lookups.add(host));
    return resolution.finally(() => lookups.delete(host));
  }

  /** As curl's `--resolve`: the run's own addresses for this name and port. */
  #named({ policy }: RunSnapshot, host: string, port: number): Candidates | undefined {
    let places = this.#overrides.get(policy);
    if (places === undefined) {
      const found = new Map<string, string[]>();
      for (const entry of policy.resolve) {
        const place = `${entry.host}:${entry.port}`;
        found.set(place, [...found.get(place) ?? [], entry.address]);
      }
      places = new Map(Array.from(found, ([place, all]) => [place, { addresses: this.#classifyAll(Number(place.slice(place.lastIndexOf(':') + 1)), all) }]));
      this.#overrides.set(policy, places);
    }
    return places.get(`${host}:${port}`);
  }

  #known(host: string, port: number, { addresses }: Resolution): Candidates {
    return this.#classify(host, port, addresses);
  }

  #classify(host: string, port: number, from: readonly string[]): Candidates {
    const key = `${host}:${port}`;
    const known = this.#classified.get(key);
    if (known !== undefined && (known.from === from || same(known.from, from))) return known.candidates;
    const candidates: Candidates = { addresses: this.#classifyAll(port, from) };
    this.#classified.set(key, { from, candidates });
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

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((address, index) => address === b[index]);
}
