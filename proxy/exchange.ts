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
  readonly version: '1.0' | '1.1' | '2';
  readonly headers: HeaderList;
  readonly framing: Framing;
  readonly expects_continue: boolean;
  /**
   * Value of `Upgrade` when `Connection: upgrade` nominates it; `undefined` for a mere h2c offer, which is dropped.
   * All that is offered, in lower case; describe/upgrade.ts says what of it is passed on.
   */
  readonly upgrade: string | undefined;
}

/** How a body ends: `until_close` only in answers (RFC 9112, section 6.3). */
export type ResponseFraming = Framing | { readonly kind: 'until_close' };

/** An answer's head that was read strictly, its fields as they came: each client codec strips what is hop-by-hop itself. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly version: '1.0' | '1.1' | '2';
  readonly headers: HeaderList;
  readonly framing: ResponseFraming;
  /** The origin lets the connection be used again. */
  readonly keep_alive: boolean;
}

/** Takes a request's body. The bytes of `data` are the sink's to keep. */
export interface BodySink {
  /** False: no more until `resumeBody`. */
  data(bytes: Buffer): boolean;
  end(trailers: HeaderList): void;
  /** The body can't be read one way only. Nothing follows; the exchange is still to be refused or aborted. */
  fail(detail: string): void;
}

/** What `forward/` hears from the client. */
export interface ClientEvents {
  /** The client takes bytes again after `flush` said false. */
  readonly drained: () => void;
  readonly gone: () => void;
}

/** The client's side of an exchange as `forward/` moves it: no other stage needs it. */
export interface Transfer {
  /** Set once, before anything else here is called. */
  events: ClientEvents | undefined;
  readonly isGone: boolean;
  /** A byte of the final answer was given: `refuse` is no longer possible, only `end` or `abort`. */
  readonly answered: boolean;
  /** Starts the request's body; answers `100 Continue` before if the client waits for it. */
  readonly readBody: (sink: BodySink) => void;
  readonly resumeBody: () => void;
  /** Passes an interim answer (1xx but 100 and 101) on where the client understands them. */
  readonly interim: (head: ResponseHead) => void;
  /** Answers 101 for the protocol and hands the connection over, with what the client has sent since. */
  readonly switchTo: (head: ResponseHead, protocol: string) => Duplex;
  readonly begin: (head: ResponseHead) => void;
  /** Content without framing; the bytes may be reused after `flush`. */
  readonly write: (bytes: Buffer) => void;
  /** Gives the client all that was begun and written. False: wait for `drained`. */
  readonly flush: () => boolean;
  readonly end: (trailers: HeaderList) => void;
  /** Closes the client's connection such that it can't take the answer for complete. */
  readonly abort: () => void;
}

/** Which listener accepted the connection; a run's own listener *is* its identity. */
export type Source =
  | { readonly kind: 'run'; readonly run_id: string }
  | { readonly kind: 'tcp'; readonly remote: string };

/** How the target is named: absolute form, CONNECT, or origin form inside a CONNECT whose inside is judged. */
export type Form =
  | { readonly kind: 'absolute' }
  | { readonly kind: 'connect' }
  | { readonly kind: 'inside'; readonly authority: string; readonly caller: unknown; readonly tls: InsideTls | undefined };

/** TLS that is ended here, between the client and the requests inside. */
export interface InsideTls {
  /** The canonical name that the ClientHello asked for. */
  readonly sni: string | undefined;
  /** As OpenSSL calls it: `TLSv1.3`. */
  readonly version: string;
}

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
  /** Aborts when the client goes away before it has its answer. */
  readonly gone: AbortSignal;
  /** Answers with a problem document (plain text where the client does not accept JSON). */
  readonly refuse: (refusal: Refusal) => void;
  /**
   * CONNECT only: answers 200 and hands the bytes of the tunnel over, those that came with the head first.
   * Used for an opaque tunnel (by `forward/`) and by `acceptInside`.
   */
  readonly openTunnel: () => Duplex;
  readonly transfer: Transfer;
}
