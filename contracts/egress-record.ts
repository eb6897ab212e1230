import type { SpendableMeter, Spent } from './budget.ts';
import type { Obligation, Reason } from './decision.ts';
import type { ErrorCode } from './errors.ts';

/** Names and values as they came, redacted (contracts/redaction.ts). */
export type RecordedHeaders = readonly (readonly [name: string, value: string])[];

/** What is known of an exchange before it happens. A field that could not be read is null. */
export interface EgressDescription {
  readonly act: 'connect' | 'request';
  readonly form: 'absolute' | 'connect' | 'inside';
  readonly method: string;
  /** Null for a tunnel, and where the target could not be read. */
  readonly scheme: 'http' | 'https' | null;
  /** What the client spoke, and the TLS that ended with us: the name it asked for (SNI), null where it named none. */
  readonly http_version: '1.0' | '1.1' | '2';
  readonly tls: { readonly version: string; readonly sni: string | null } | null;
  /** Canonical; where it could not be made so, the target as it came is in `target`. */
  readonly host: string | null;
  readonly port: number | null;
  /** Without the query, whose values may be anybody's; its keys are named. */
  readonly path: string | null;
  readonly query_keys: readonly string[];
  readonly request_headers: RecordedHeaders;
  readonly credential: 'none' | 'foreign';
  /** How the run's agent reached the proxy. */
  readonly assurance: 'jailed' | 'cooperative' | null;
  /** Only where there is no canonical host and path. */
  readonly target?: string;
}

export interface DeniedFacts {
  readonly egress_id: string;
  /** Of the error catalogue, or the id of a rule of `core`. */
  readonly code: string;
  readonly effect: 'deny' | 'require_approval' | 'fault';
}

export interface DeniedPayload extends EgressDescription {
  readonly detail: string;
  readonly next_steps: readonly string[];
  readonly reasons: readonly Reason[];
  /** No rule spoke. */
  readonly default: boolean;
  readonly address: string | null;
  readonly meter: string | null;
  /** SHA-256 of the policy input's bytes; null where policy was not asked. */
  readonly input_digest: string | null;
}

export interface DecidedPayload extends EgressDescription {
  readonly reasons: readonly Reason[];
  readonly obligations: readonly Obligation[];
  /** Resolved, classified and allowed; one of them will be dialled. */
  readonly addresses: readonly string[];
  readonly input_digest: string;
  /** In `observe` mode: what would have been answered. */
  readonly observed: 'deny' | 'require_approval' | null;
  /** `host:port` of the operator's proxy that is asked to connect to them; for an address of class `delegated` the host stands in `addresses`. */
  readonly upstream_proxy?: string;
}

/** Of `egress.completed`, `egress.failed` and `egress.cut`; `code` only for the last two. */
export interface OutcomeFacts {
  readonly egress_id: string;
  readonly spent: Spent;
  readonly code?: ErrorCode | `core.${string}` | 'client_gone';
  readonly meter?: SpendableMeter;
}

export interface OutcomePayload {
  readonly status: number | null;
  readonly address: string | null;
  readonly response_headers: RecordedHeaders;
  /** What the origin spoke, and TLS with it where that is ours; null where nothing was spoken, or nobody looked. */
  readonly http_version: '1.1' | '2' | null;
  readonly tls: { readonly version: string; readonly resumed: boolean } | null;
  /** Whole milliseconds from the permit to the first byte of the answer, and to the end. */
  readonly first_byte_ms: number | null;
  readonly duration_ms: number;
  /** Why it failed or was cut, for a person. */
  readonly detail?: string;
}
