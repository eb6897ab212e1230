import type { InsideTls } from '../exchange.ts';

/** One attempted outbound exchange, canonical: what is described here is judged, and what is judged is sent. */
export interface Egress {
  readonly act: 'connect' | 'request';
  readonly form: 'absolute' | 'connect' | 'inside';
  readonly method: string;
  /** Canonical host (no brackets, no final dot) and port. */
  readonly host: string;
  readonly port: number;
  readonly is_ip_literal: boolean;
  /** Undefined for a tunnel: nobody knows what is inside. */
  readonly scheme: 'http' | 'https' | undefined;
  /** Set where TLS is ended here. */
  readonly tls: InsideTls | undefined;
  /** Value of `Host` as it is sent. */
  readonly authority: string;
  /** Canonical path without query, and the whole target in origin form; undefined for a tunnel. */
  readonly path: string | undefined;
  readonly target: string | undefined;
  readonly query_keys: readonly string[];
  /** As they came: `[name, value, ...]`. */
  readonly headers: readonly string[];
  /** `foreign`: the request carries a key that is not ours, so it may act for somebody else's account. */
  readonly credential: 'none' | 'foreign';
  /** `Host` names another place than the target or the tunnel. */
  readonly host_mismatch: boolean;
  /** The name is the proxy's or the control plane's own. */
  readonly own_name: boolean;
  /** Of the request body; undefined when it is not said beforehand. */
  readonly body_bytes: number | undefined;
  /** The protocol that is offered to be switched to, in lower case. */
  readonly upgrade: string | undefined;
}
