import type { Canary } from '../test/helpers/canary.ts';
import type { Origin } from '../test/helpers/origin.ts';

/** What the outside saw: taken from the servers' own records, never from Sallyport's word. */
export interface Sightings {
  /** `GET /item/7` -> how often the site saw it. */
  readonly requests: ReadonlyMap<string, number>;
  /** Connections that the site accepted, with or without a request on them. */
  readonly connections: number;
  /** `10.1.2.3:80` -> contacts. */
  readonly canaries: ReadonlyMap<string, number>;
}

export function lookAround(site: Origin, canaries: readonly Canary[]): Sightings {
  const requests = new Map<string, number>();
  for (const { method, target } of site.requests) {
    const key = `${method} ${target}`;
    requests.set(key, (requests.get(key) ?? 0) + 1);
  }
  return {
    requests,
    connections: site.connections.length,
    canaries: new Map(canaries.map(({ address, port, contacts }) => [`${address}:${port}`, contacts.length])),
  };
}
