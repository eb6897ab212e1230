import type { SpendableMeter } from '../../contracts/budget.ts';
import type { DenialCode } from '../denial.ts';
import type { StopSignal } from './stop.ts';
import type { Via } from './upstream-proxies.ts';

/** A resolved and classified address that policy let us dial. */
export interface PermittedAddress {
  /** The host itself where an upstream proxy resolves it (class `delegated`). */
  readonly address: string;
  readonly family: 4 | 6;
  readonly address_class: string;
  /** What is dialled in its place, and asked to connect there. */
  readonly via?: Via;
}

/** Units that may flow now. Only `enforce/` makes one; `forward/` takes from it before each byte it passes on. */
export interface Spending {
  /** Takes up to `units` and says how many may pass at once (0..units). */
  readonly take: (meter: SpendableMeter, units: number) => number;
  /** Gives units back that were taken but not used. */
  readonly giveBack: (meter: SpendableMeter, units: number) => void;
  /** Asks for more; true when `take` may succeed again, false when the budget refuses (then the stream is cut). */
  readonly more: (meter: SpendableMeter, units: number) => Promise<boolean>;
}

/**
 * Proof that an egress was allowed, that its obligations are armed, its first unit is reserved and its `egress.decided`
 * is in the journal. Made only in `enforce/` (the symbol is not exported), taken only by `forward/`.
 */
export interface Permit {
  readonly [permitted]: true;
  readonly egress_id: string;
  readonly run_id: string;
  readonly kind: 'http' | 'tunnel';
  /** `https`: TLS to the origin is ours, verified for `host`; a tunnel's bytes are not looked at. */
  readonly scheme: 'http' | 'https';
  /** Canonical host (no brackets) and port. */
  readonly host: string;
  readonly port: number;
  /** Value of the `Host` field to send: canonical, port only when it is not the scheme's own. */
  readonly authority: string;
  readonly method: string;
  /** Origin-form target, the very bytes that were judged, query included. */
  readonly target: string;
  /** Requests: the protocol to offer; the connection may become a tunnel for it. */
  readonly upgrade: string | undefined;
  /** Tunnels: bytes that are not TLS may pass, and the origin may speak first. */
  readonly raw: boolean;
  readonly addresses: readonly PermittedAddress[];
  /** No connection is shared between runs, schemes, origins or address classes. */
  readonly pool_key: string;
  readonly spending: Spending;
  /** Fires when run, snapshot, deadline or policy no longer allow this exchange. */
  readonly stop: StopSignal;
  /** Checked at the first write: a cancel between permit and dial wins. */
  readonly stillValid: () => boolean;
  /** Before one further try on a fresh connection: spends a unit of `requests` and journals `egress.retried`. */
  readonly anotherTry: () => Promise<boolean>;
}

const permitted: unique symbol = Symbol('permitted');

export function makePermit(fields: Omit<Permit, typeof permitted>): Permit {
  return { ...fields, [permitted]: true };
}

/** What became of a permitted exchange. Bytes are between proxy and origin: heads as serialised, bodies with framing. */
export interface Outcome {
  readonly kind: 'completed' | 'failed' | 'cut';
  /** Status of the origin's final answer; undefined for tunnels and when none came. */
  readonly status: number | undefined;
  readonly response_headers: readonly string[];
  readonly address: string | undefined;
  readonly bytes_out: number;
  readonly bytes_in: number;
  /** Milliseconds from the permit to the first byte of the answer, and to the end. */
  readonly first_byte_ms: number | undefined;
  readonly duration_ms: number;
  /** For failed and cut: `upstream_*`, `client_gone`, `budget_exhausted`, `run_ended`, ... */
  readonly code: DenialCode | 'client_gone' | undefined;
  readonly meter?: SpendableMeter;
  /** What was spoken with the origin: its HTTP version, and TLS where it is ours. */
  readonly http_version?: '1.1' | '2';
  readonly tls?: { readonly version: string; readonly resumed: boolean };
  /** A sentence for what no answer could tell the agent. */
  readonly detail?: string;
}
