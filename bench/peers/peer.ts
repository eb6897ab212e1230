import type { Origins, Stage } from '../stage.ts';

/** One way to the origins. */
export interface Peer {
  readonly name: string;
  /** The program it is, and how that is got; undefined for what comes along. */
  readonly program: { readonly name: string; readonly flag: string; readonly install: string } | undefined;
  /** Whether it answers CONNECT. */
  readonly tunnels: boolean;
  /** Whether a client's connection outlives an answer. Where not, each request of each work has its own. */
  readonly keepsAlive: boolean;
  /** Whether it ends TLS itself, with a certificate that it makes. */
  readonly intercepts: boolean;
  /** What a reader of its figures must know. */
  readonly note?: string;
  start(place: Place): Promise<RunningPeer>;
}

export interface Place {
  readonly stage: Stage;
  readonly origins: Origins;
  /** Where the program is; empty where it needs none. */
  readonly program: string;
  /** A folder of its own, which exists. */
  readonly folder: string;
  /** As how many agents the load comes, for those that tell them apart. */
  readonly agents: number;
}

export interface RunningPeer {
  /** Where the load connects; undefined: to the origin itself. */
  readonly port: number | undefined;
  /** Values of `Proxy-Authorization`, one for each agent; none where nobody is asked. */
  readonly authorizations: readonly string[];
  /** Processes through which the bytes go. */
  readonly proxy: readonly number[];
  /** Processes that it has beside them, on the load's cores. */
  readonly beside: readonly number[];
  /** Bytes recorded that have not arrived where they belong. */
  lag?(): Promise<number>;
  stop(): Promise<void>;
}
