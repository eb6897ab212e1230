import type { Canary } from '../test/helpers/canary.ts';

/** A server's own record. */
export interface Site {
  readonly scheme: 'http' | 'https';
  readonly requests: readonly { readonly method: string; readonly target: string }[];
  readonly connections: () => number;
}

/** What the outside saw: taken from the servers' own records, never from Sallyport's word. */
export interface Sightings {
  /** `GET https://site.example/item/7` -> how often the site saw it. */
  readonly requests: ReadonlyMap<string, number>;
  /** Connections that the site accepted, with or without a request on them. */
  readonly connections: number;
  /** `10.1.2.3:80` -> contacts. */
  readonly canaries: ReadonlyMap<string, number>;
}

export const siteName = 'site.example';

export function lookAround(sites: readonly Site[], canaries: readonly Canary[]): Sightings {
  const requests = new Map<string, number>();
  for (const { scheme, requests: seen } of sites) {
    for (const { method, target } of seen) {
      const key = `${method} ${scheme}://${siteName}${target}`;
      requests.set(key, (requests.get(key) ?? 0) + 1);
    }
  }
  return {
    requests,
    connections: sites.reduce((sum, { connections }) => sum + connections(), 0),
    canaries: new Map(canaries.map(({ address, port, contacts }) => [`${address}:${port}`, contacts.length])),
  };
}
