import { Resolver as DnsResolver } from 'node:dns/promises';
import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { HostsFile } from './hosts-file.ts';

/** What a name resolves to: every address of both families, unclassified. */
export interface Resolution {
  readonly addresses: readonly string[];
  /** Monotonic milliseconds after which it has to be asked again. */
  readonly expires: number;
}

export interface Answers {
  readonly addresses: readonly string[];
  readonly ttlSeconds: number;
}

/** One question to the domain name system; rejects with c-ares' `code`. */
export type Ask = (host: string, family: 4 | 6) => Promise<Answers>;

const cacheEntries = 10_000;
const inFlightMax = 256;
const timeoutMs = 5000;
const shortestTtlMs = 1000;
const longestTtlMs = 300_000;
/** RFC 2308 has the SOA's minimum, which c-ares doesn't tell: short, since a name that appears is wanted at once. */
const negativeTtlMs = 5000;
const hostsTtlMs = 5000;
/** A server that drops one kind of question must not make every name slow: the other family's answers do after this. */
const otherFamilyMs = 1000;
const addressesMax = 64;

/** Asks the servers of `/etc/resolv.conf`, or those given (`address:port`). Names are asked as they are, without search domains. */
export function askServers(servers?: readonly string[]): Ask {
  const resolver = new DnsResolver({ timeout: 2000, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  return async (host, family) => {
    const records = await (family === 4 ? resolver.resolve4(host, { ttl: true }) : resolver.resolve6(host, { ttl: true }));
    // An alias that leads nowhere comes as a list of nothing.
    if (records.length === 0) throw Object.assign(new Error('no address'), { code: 'ENODATA' });
    return { addresses: records.map(({ address }) => address), ttlSeconds: Math.min(...records.map(({ ttl }) => ttl)) };
  };
}

interface Failure {
  readonly problem: SallyportError;
  readonly expires: number;
}

/** Names to addresses, remembered for as long as their owners say (1 s to 5 min). Never asked for a name that policy denied. */
export class NameResolver {
  readonly #clock: Clock;
  readonly #ask: Ask;
  readonly #hosts: HostsFile;
  readonly #cache = new Map<string, Resolution | Failure>();
  readonly #inFlight = new Map<string, Promise<Resolution>>();

  constructor(clock: Clock, ask: Ask = askServers(), hosts: HostsFile = new HostsFile(() => clock.monotonic())) {
    this.#clock = clock;
    this.#ask = ask;
    this.#hosts = hosts;
  }

  /** Names that could be looked up beside those that are being looked up. */
  get free(): number { return inFlightMax - this.#inFlight.size; }

  /** Whether nothing has to be asked for this name now. */
  knows(host: string): boolean {
    const known = this.#cache.get(host);
    return known !== undefined && known.expires > this.#clock.monotonic();
  }

  /** What is remembered of a canonical name, or a promise of it. Throws or rejects with `upstream_dns` or `overloaded`. */
  resolve(host: string): Resolution | Promise<Resolution> {
    const known = this.#cache.get(host);
    if (known !== undefined && known.expires > this.#clock.monotonic()) {
      if ('problem' in known) throw known.problem;
      return known;
    }
    const asking = this.#inFlight.get(host);
    if (asking !== undefined) return asking;
    if (this.#inFlight.size >= inFlightMax) throw new SallyportError('overloaded', `More than ${inFlightMax} names are being resolved.`, { retry_after: 1 });
    const promise = this.#lookUp(host).finally(() => this.#inFlight.delete(host));
    this.#inFlight.set(host, promise);
    return promise;
  }

  async #lookUp(host: string): Promise<Resolution> {
    try {
      // RFC 6761, section 6.3: these are loopback whatever anybody answers.
      const own = host === 'localhost' || host.endsWith('.localhost') ? ['127.0.0.1', '::1'] : await this.#hosts.lookup(host);
      const { addresses, ttlMs } = own !== undefined ? { addresses: own, ttlMs: hostsTtlMs } : await this.#askBoth(host);
      return this.#keep(host, { addresses, expires: this.#clock.monotonic() + ttlMs });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const problem = new SallyportError('upstream_dns', `${host} ${told[code ?? ''] ?? 'could not be resolved'}.`, { cause: error });
      // Only an answer is remembered; a server that failed may be well again.
      const ttlMs = code === 'ENOTFOUND' || code === 'ENODATA' ? negativeTtlMs : shortestTtlMs;
      this.#keep(host, { problem, expires: this.#clock.monotonic() + ttlMs });
      throw problem;
    }
  }

  #askBoth(host: string): Promise<{ readonly addresses: readonly string[]; readonly ttlMs: number }> {
    return new Promise((resolve, reject) => {
      const answers: Answers[] = [];
      let failure: unknown;
      let open = 2;
      let wait = this.#clock.setTimeout(() => finish(), timeoutMs);
      const finish = (): void => {
        wait.cancel();
        const addresses = answers.flatMap((answer) => answer.addresses);
        if (addresses.length === 0) reject(failure as Error ?? Object.assign(new Error('timeout'), { code: 'ETIMEOUT' }));
        else if (addresses.length > addressesMax) reject(Object.assign(new Error('too many'), { code: 'ETOOMANY' }));
        else {
          const seconds = Math.min(...answers.map(({ ttlSeconds }) => ttlSeconds));
          resolve({ addresses, ttlMs: Math.min(Math.max(seconds * 1000, shortestTtlMs), longestTtlMs) });
        }
      };
      for (const family of [4, 6] as const) {
        this.#ask(host, family).then((answer) => {
          answers.push(answer);
          if (--open === 0) return finish();
          wait.cancel();
          wait = this.#clock.setTimeout(finish, otherFamilyMs);
        }, (error: unknown) => {
          // "No such name" says more than "no address of this family".
          if (failure === undefined || (failure as NodeJS.ErrnoException).code === 'ENODATA') failure = error;
          if (--open === 0) finish();
        });
      }
    });
  }

  #keep<T extends Resolution | Failure>(host: string, value: T): T {
    this.#cache.delete(host);
    this.#cache.set(host, value);
    if (this.#cache.size > cacheEntries) this.#cache.delete(this.#cache.keys().next().value!);
    return value;
  }
}

const told: Readonly<Record<string, string>> = {
  ENOTFOUND: 'does not exist',
  ENODATA: 'has no address',
  ETIMEOUT: 'could not be resolved in time',
  ESERVFAIL: 'could not be resolved: its name server failed',
  ECONNREFUSED: 'could not be resolved: no name server answers',
  ETOOMANY: `has more than ${addressesMax} addresses`,
};
