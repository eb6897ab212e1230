import type { Need } from '../helpers/world/missing.ts';
import type { ProgramsName } from './programs.ts';

/** How a client's requests travel: in clear text, through TLS that is ended in the proxy, or through TLS that it does not look into. */
export const ways = ['plain', 'intercepted', 'passthrough'] as const;
export type Way = (typeof ways)[number];

/** Where a client runs. */
export type Channel = 'jail' | 'credentials';

/** One host as a step is to reach it. */
export interface Place {
  readonly way: Way;
  readonly channel: Channel;
  readonly host: string;
  /** `http://host` or `https://host`, on the scheme's own port. */
  readonly url: string;
  /** `ws://host` or `wss://host`. */
  readonly webSocket: string;
  /**
   * A PEM file of the work folder, for clients that take their authorities by an option and by no variable; the usual variables
   * name it already. Undefined where the client is to be told nothing: in clear text, and intercepted in the jail.
   */
  readonly trust: string | undefined;
}

/** A request as the origin has to have seen it. */
export interface Expected {
  readonly method: string;
  /** As spelled, query included. */
  readonly target: string;
  /** Default: not asked. */
  readonly version?: '1.1' | '2.0';
  /** Default: not asked. */
  readonly body?: string | RegExp;
}

export interface Step {
  readonly title: string;
  /** A line for `sh`, run in the client's own folder. It has to end with 0. */
  readonly command: (place: Place) => string;
  /** Default: all three. */
  readonly ways?: readonly Way[];
  /** What it has to have printed on standard output. */
  readonly prints: string | RegExp;
  /** All that the origin saw of it, in order. */
  readonly seen: (place: Place) => readonly Expected[];
}

/** One way to be refused over TLS that is ended in the proxy. */
export interface Refusal {
  readonly title: string;
  /** `host`: a host that nothing allows. `path`: a path (below `/forbidden`) that nothing allows, at a host of which others are allowed. */
  readonly of: 'host' | 'path';
  readonly command: (place: Place) => string;
  /** What the client shows of it, on either output. Default: `policy_denied`. */
  readonly shows?: RegExp;
  /** How often it is refused: a client that takes no for an answer asks once. Default: 1. `several` where it looks for a thing in many forms. */
  readonly tries?: number | 'several';
}

/** What docs/clients.md says of a client. */
export interface Documentation {
  /** What has to be written beside the variables of the proxy; `nothing` where they do. */
  readonly proxy: string;
  /** How it is told of an authority outside of a jail. */
  readonly trust: string;
  /** Where its user finds why it was refused. */
  readonly refusal: string;
}

export interface Client {
  readonly name: string;
  readonly needs?: readonly Need[];
  /** Folders of programs (programs.ts) that the client needs: `$TOOLS/<name>` in its steps. */
  readonly programs?: readonly ProgramsName[];
  /** Default: `site`, the origin for everything in HTTP. */
  readonly origin?: 'site' | 'grpc';
  /** Fields (lower case) that it sends through tunnels which are its proxy's business, so that the origin sees them where nobody looks in. */
  readonly reveals?: Readonly<Partial<Record<Channel, readonly string[]>>>;
  /** Its steps, which run in this order for each way; those of the refusals come last. */
  readonly steps: readonly Step[];
  readonly refusals: readonly Refusal[];
  readonly documentation: Documentation;
}
