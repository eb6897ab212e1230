/** Bounds towards origins. Times in milliseconds. */
export interface ForwardLimits {
  /** For a TCP connection to any of the permit's addresses. */
  readonly connect_ms: number;
  /** For TLS with the origin once it is connected. */
  readonly handshake_ms: number;
  /** Before the next address is tried beside the one that does not answer (RFC 8305, section 5). */
  readonly stagger_ms: number;
  /** Addresses tried at most for one dial. */
  readonly addresses: number;
  /** From the end of the request to the first byte of the answer, and between an interim answer and the next. */
  readonly first_byte_ms: number;
  /** Without a byte either way while an answer or an upload flows. */
  readonly idle_ms: number;
  /** The same for a tunnel: its inside may be quiet by design. */
  readonly tunnel_idle_ms: number;
  /** For the ClientHello of a tunnel through which only TLS may pass, and for the rest of any ClientHello. */
  readonly first_bytes_ms: number;
  /** After a tunnel is cut, for what was allowed to reach the other side. */
  readonly linger_ms: number;
  /** How long an upload waits for the origin's 100 before it starts without (RFC 9110, section 10.1.1). */
  readonly continue_ms: number;
  /** Interim answers before the final one. */
  readonly interim_answers: number;
  /** How long an unused connection to an origin is kept. */
  readonly pooled_ms: number;
  readonly pooled_per_key: number;
  readonly pooled: number;
  /** HTTP/2 connections: of one pool key, of a worker, and streams of one of them at a time, if the origin takes as many. */
  readonly sessions_per_key: number;
  readonly sessions: number;
  readonly session_streams: number;
  /** How long an origin is taken to speak HTTP/2, or not to, as it did when it was dialled. */
  readonly protocol_known_ms: number;
  /** Octets of one answer that its client has not taken yet; of all answers on their way at once. */
  readonly stream_window_bytes: number;
  readonly session_window_bytes: number;
}

export const forwardLimits: ForwardLimits = {
  connect_ms: 10_000,
  handshake_ms: 10_000,
  stagger_ms: 250,
  addresses: 6,
  first_byte_ms: 60_000,
  idle_ms: 300_000,
  tunnel_idle_ms: 900_000,
  first_bytes_ms: 10_000,
  linger_ms: 2_000,
  continue_ms: 1_000,
  interim_answers: 32,
  pooled_ms: 30_000,
  pooled_per_key: 1_000,
  pooled: 4_000,
  sessions_per_key: 32,
  sessions: 1_000,
  session_streams: 256,
  protocol_known_ms: 300_000,
  stream_window_bytes: 262_144,
  session_window_bytes: 4_194_304,
};
