import type { Duplex } from 'node:stream';
import type { ErrorCode } from '../contracts/errors.ts';

/** Header fields in the order, case and number they came in: `[name, value, name, value, ...]`, latin1. */
export type HeaderList = readonly string[];

export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' };

/** A request head that was read strictly: one framing, no ambiguous names. `target` is as it came. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly version: '1.0' | '1.1';
  readonly headers: HeaderList;
  readonly framing: Framing;
  readonly expects_continue: boolean;
  /** Value of `Upgrade` when `Connection: upgrade` nominates it. */
  readonly upgrade: string | undefined;
}

/** Which listener accepted the connection; a run's own listener *is* its identity. */
export type Source =
  | { readonly kind: 'run'; readonly run_id: string }
  | { readonly kind: 'tcp'; readonly remote: string };

/** How the target is named: absolute form, CONNECT, or origin form inside a CONNECT whose inside is judged. */
export type Form =
  | { readonly kind: 'absolute' }
  | { readonly kind: 'connect' }
  | { readonly kind: 'inside'; readonly authority: string; readonly caller: unknown };

/** What an exchange is answered with when we don't forward it. */
export interface Refusal {
  readonly code: ErrorCode | `core.${string}`;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly reasons: readonly { readonly rule: string; readonly message: string }[];
  readonly next_steps: readonly string[];
  readonly egress_id: string | undefined;
  /** Seconds. */
  readonly retry_after?: number;
}

/** One request on a client connection, independent of the codec that read it. */
export interface Exchange {
  readonly source: Source;
  readonly form: Form;
  readonly head: RequestHead;
  /** Aborts when the client goes away. */
  readonly gone: AbortSignal;
  /** Answers with a problem document (plain text where the client does not accept JSON). */
  readonly refuse: (refusal: Refusal) => void;
  /**
   * CONNECT only: answers 200 and hands the bytes of the tunnel over, those that came with the head first.
   * Used for an opaque tunnel (by `forward/`) and by `acceptInside`.
   */
  readonly openTunnel: () => Duplex;
}
