import { classifyAddress } from '../../contracts/addresses.ts';
import { SallyportError } from '../../contracts/errors.ts';
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

/** From a canonical host to classified addresses: a literal, the run's own `--resolve`, or the domain name system. */
export class AddressBook {
  readonly #resolver: NameResolver;
  readonly #own: OwnAddresses;
  /** By `host:port`: what was made of the last resolution. */
  readonly #classified = new Map<string, { readonly from: readonly string[]; readonly candidates: Candidates }>();

  constructor(resolver: NameResolver, own: OwnAddresses) {
    this.#resolver = resolver;
    this.#own = own;
  }

  /** Throws `upstream_dns` or `overloaded`. */
  find(run: LiveRun, { host, port, is_ip_literal }: Egress): Candidates | Promise<Candidates> {
    if (is_ip_literal) return this.#classify(host, port, [host]);
    const overrides = run.snapshot.policy.resolve;
    if (overrides.length > 0) {
      const named = overrides.filter((entry) => entry.port === port && entry.host === host).map(({ address }) => address);
      if (named.length > 0) return { addresses: this.#classifyAll(port, named) };
    }
    const resolution = this.#resolver.resolve(host);
    return resolution instanceof Promise ? resolution.then((found) => this.#known(host, port, found)) : this.#known(host, port, resolution);
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
