import type { Peer, RunningPeer } from '../peers/peer.ts';
import type { Origins, Stage } from '../stage.ts';

export interface Bench {
  readonly stage: Stage;
  readonly origins: Origins;
  /** Of one round of one contender. */
  readonly seconds: number;
  /** Idle tunnels that are wanted. */
  readonly idle: number;
}

export interface Contender {
  readonly peer: Peer;
  readonly running: RunningPeer;
}

/** What one round of one contender brought, by name. */
export type Figures = Readonly<Record<string, number>>;

/** A column of a work's table: the median of a figure and its range, or what the medians of a contender say. */
export type Column = {
  readonly title: string;
  readonly figure: string;
  readonly digits: number;
  /** Set beside the same figure of another contender in the same round. */
  readonly against?: { readonly contender: string; readonly by: 'ratio' | 'difference' };
} | {
  readonly title: string;
  readonly text: (median: (figure: string) => number) => string;
};

export interface Work {
  readonly name: string;
  readonly title: string;
  /** Whom its ratios are to, where it is not the reference of the others. */
  readonly reference?: string;
  readonly columns: readonly Column[];
  /** Rows of the summary: which column, what Sallyport is to reach in it, and which column says how the reference itself does (the first one). */
  readonly summary: readonly { readonly column: string; readonly goal?: string; readonly itself?: string }[];
  /** Rounds, where the option is not to decide; a work that is done once has no warm-up. */
  readonly rounds?: 1;
  fits(peer: Peer): boolean;
  /** As how many agents the load comes. */
  agents?(bench: Bench): number;
  /** Throws when anything was answered wrongly: the round is void. */
  round(bench: Bench, contender: Contender): Promise<Figures>;
}
