import { networkInterfaces } from 'node:os';
import { classifyAddress } from '../../contracts/addresses.ts';
import { parseAddress } from '../../contracts/address-text.ts';
import { embeddedAddresses } from '../../contracts/embedded-addresses.ts';
import { formatAddress } from '../../contracts/address-text.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** The host by which an agent reaches the control plane; never resolved, never dialled. */
export const internalHost = 'sallyport.internal';

/** Whether a name is ours whatever the domain name system says. */
export function isOwnName(host: string): boolean {
  return host === internalHost || host.endsWith(`.${internalHost}`);
}

/** Where the proxy and its control plane listen. Nobody may be let through to them: an exchange would pass for the proxy's own. */
export class OwnAddresses {
  readonly #ports = new Map<number, { any: boolean; readonly addresses: Set<string> }>();
  readonly #others: Pick<OwnAddresses, 'has' | 'changes'>[] = [];
  #changes = 0;

  constructor(endpoints: readonly Endpoint[]) {
    for (const endpoint of endpoints) this.add(endpoint);
  }

  /** Grows with each change of what `has` says: what was made of an earlier answer is void then. */
  get changes(): number {
    return this.#others.reduce((sum, { changes }) => sum + changes, this.#changes);
  }

  add({ host, port }: Endpoint): void {
    this.#changes++;
    const entry = this.#ports.get(port) ?? { any: false, addresses: new Set<string>() };
    this.#ports.set(port, entry);
    const classified = classifyAddress(host);
    if (classified?.address_class === 'unspecified') entry.any = true;
    else if (classified !== undefined) entry.addresses.add(classified.canonical);
  }

  /** What somebody else keeps counts as ours too. */
  also(others: Pick<OwnAddresses, 'has' | 'changes'>): void {
    this.#others.push(others);
  }

  /** Whether connecting there would reach us, under any spelling of the address. */
  has(address: string, port: number): boolean {
    return this.#isListed(address, port) || this.#others.some((others) => others.has(address, port));
  }

  #isListed(address: string, port: number): boolean {
    const entry = this.#ports.get(port);
    if (entry === undefined) return false;
    const bytes = parseAddress(address);
    // What is no address is not dialled either; nothing is ours about it.
    if (bytes === undefined) return false;
    return [bytes, ...embeddedAddresses(bytes)].some((part) => {
      const classified = classifyAddress(formatAddress(part));
      if (classified === undefined) return false;
      if (entry.addresses.has(classified.canonical)) return true;
      const { address_class } = classified;
      // A listener on loopback is reached by 0.0.0.0 as well, and by all of 127/8 where it listens on every address.
      if (address_class === 'unspecified' || address_class === 'loopback') return entry.any || entry.addresses.has('127.0.0.1') || entry.addresses.has('::1');
      return entry.any && isLocal(classified.canonical);
    });
  }
}

/** Interfaces come and go, so they are asked each time; only a listener on all of them makes that necessary. */
function isLocal(canonical: string): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => classifyAddress(address.replace(/%.*/, ''))?.canonical === canonical) ?? false);
}
