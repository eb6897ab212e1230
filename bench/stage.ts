import type { Children } from './machine/children.ts';

/** Answers on loopback, of which each is a process of its own on the load's cores. */
export interface Origin {
  readonly port: number;
  readonly pids: readonly number[];
}

export interface Origins {
  /** 1 KiB for any GET of any path. */
  readonly small: Origin;
  /** The same in TLS, as HTTP/2 or HTTP/1.1: `localhost`, by a certificate (a file in PEM) that vouches for itself. */
  readonly tls: Origin & { readonly certificate: string };
  /** GET /BYTES sends so many; a POST is swallowed and answered with its length as text. */
  readonly bulk: Origin;
  /** Server-sent events, one each 10 ms, each holding when it was sent. */
  readonly events: Origin;
}

/** What everything that the bench starts has in common. */
export interface Stage {
  readonly children: Children;
  /** For files and logs; whoever Squid becomes when it gives up root can write here. */
  readonly folder: string;
  /** Lists of cores for `taskset`: the proxies', and those of load, origins and whatever a proxy has beside its data path. */
  readonly cores: { readonly proxy: string; readonly load: string };
}

/** Bytes of the small origin's answer. */
export const smallBytes = 1024;
