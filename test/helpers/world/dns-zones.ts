import { isIPv6 } from 'node:net';
import { recordTypes, responseCodes, type ResourceRecord } from './dns-message.ts';

/** What the world's DNS says about one name. */
export type DnsAnswer =
  /** A and AAAA records, in this order; asked for a family that it has no address of, it answers with none. */
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly ttl?: number }
  /** The record and, as resolvers do, all that its target leads to. */
  | { readonly kind: 'alias'; readonly target: string; readonly ttl?: number }
  /** Each query of a type takes the next; the last one stays. Rebinding is two of them. */
  | { readonly kind: 'sequence'; readonly answers: readonly DnsAnswer[] }
  | { readonly kind: 'late'; readonly milliseconds: number; readonly answer: DnsAnswer }
  | { readonly kind: 'no_such_name' }
  | { readonly kind: 'failure' }
  | { readonly kind: 'refused' }
  /** No reply at all. */
  | { readonly kind: 'silence' };

export interface DnsQuery {
  readonly name: string;
  /** The record type's number; 1 is A, 28 is AAAA. */
  readonly type: number;
  readonly transport: 'udp' | 'tcp';
}

export interface DnsReply {
  readonly code: number;
  readonly records: readonly ResourceRecord[];
  readonly silent: boolean;
  readonly delay: number;
}

/** More than any client follows; a loop of aliases ends here, in an answer that holds no address. */
const longestChain = 20;
/** Kept queries, oldest dropped first. */
const keptQueries = 10_000;

export class DnsZones {
  readonly #answers = new Map<string, DnsAnswer>();
  readonly #asked = new Map<string, number>();
  #queries: DnsQuery[] = [];

  set(name: string, answer: DnsAnswer): void {
    const key = name.toLowerCase();
    this.#answers.set(key, answer);
    for (const type of Object.values(recordTypes)) this.#asked.delete(`${key} ${type}`);
  }

  /** Forgets the names below a suffix. */
  remove(suffix: string): void {
    const below = (name: string): boolean => name === suffix || name.endsWith(`.${suffix}`);
    for (const name of this.#answers.keys()) if (below(name)) this.#answers.delete(name);
    this.#queries = this.#queries.filter((query) => !below(query.name));
  }

  /** Every query for a name below the suffix, in order of arrival; '' for all. */
  queries(suffix: string): readonly DnsQuery[] {
    return this.#queries.filter(({ name }) => suffix === '' || name === suffix || name.endsWith(`.${suffix}`));
  }

  reply(query: DnsQuery): DnsReply {
    const name = query.name.toLowerCase();
    this.#queries.push({ ...query, name });
    if (this.#queries.length > keptQueries) this.#queries.shift();
    return this.#follow(name, query.type, 0);
  }

  #follow(name: string, type: number, depth: number): DnsReply {
    const answer = this.#answers.get(name);
    if (answer === undefined) return { ...empty, code: responseCodes.nameError };
    return this.#say(name, type, depth, answer);
  }

  #say(name: string, type: number, depth: number, answer: DnsAnswer): DnsReply {
    switch (answer.kind) {
      case 'addresses': {
        const family = type === recordTypes.A ? 'A' : type === recordTypes.AAAA ? 'AAAA' : undefined;
        const records = answer.addresses
          .filter((address) => family === (isIPv6(address) ? 'AAAA' : 'A'))
          .map((data): ResourceRecord => ({ name, type: isIPv6(data) ? 'AAAA' : 'A', data, ttl: answer.ttl ?? 0 }));
        return { ...empty, records };
      }
      case 'alias': {
        const record: ResourceRecord = { name, type: 'CNAME', data: answer.target, ttl: answer.ttl ?? 0 };
        if (depth >= longestChain) return { ...empty, records: [record] };
        const rest = this.#follow(answer.target.toLowerCase(), type, depth + 1);
        return { ...rest, records: [record, ...rest.records] };
      }
      case 'sequence': {
        const key = `${name} ${type}`;
        const index = this.#asked.get(key) ?? 0;
        this.#asked.set(key, index + 1);
        const next = answer.answers[Math.min(index, answer.answers.length - 1)];
        return next === undefined ? { ...empty, code: responseCodes.nameError } : this.#say(name, type, depth, next);
      }
      case 'late': return { ...this.#say(name, type, depth, answer.answer), delay: answer.milliseconds };
      case 'no_such_name': return { ...empty, code: responseCodes.nameError };
      case 'failure': return { ...empty, code: responseCodes.serverFailure };
      case 'refused': return { ...empty, code: responseCodes.refused };
      case 'silence': return { ...empty, silent: true };
    }
  }
}

const empty: DnsReply = { code: responseCodes.noError, records: [], silent: false, delay: 0 };
