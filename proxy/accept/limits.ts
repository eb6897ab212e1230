/** Bounds on clients. Times in milliseconds. */
export interface AcceptLimits {
  /** Open connections of all listeners of this worker together; one more is answered 503. */
  readonly connections: number;
  /** Open connections of one run's own listener; one more is answered 429. */
  readonly connections_per_run: number;
  /** Open connections of one remote address elsewhere; one more is answered 429. What is left is for jails and other addresses. */
  readonly connections_per_address: number;
  /** From the first byte of a head (or from the connect) to its end. */
  readonly head_ms: number;
  /** Between two requests on one connection. */
  readonly idle_ms: number;
  /** For an idle client's next request when a worker stops: closing at once would meet the one that is on its way. */
  readonly stop_idle_ms: number;
  /** What a client may take to read its last answer and close after we have closed our side. */
  readonly linger_ms: number;
  /** Bytes of pipelined requests held while one is answered; then the connection is not read until it is. */
  readonly held_bytes: number;
  /** Pieces of requests (a head, what has come of a body) that one connection has looked at before others have their turn. */
  readonly steps_a_turn: number;
  /** Rest of a request body that is read and dropped after a refusal, so that the connection stays usable. */
  readonly drained_bytes: number;
  /** For the first bytes inside a CONNECT that we look into; servers that speak first never send any. */
  readonly first_bytes_ms: number;
}

export const acceptLimits: AcceptLimits = {
  connections: 20_000,
  connections_per_run: 1_000,
  connections_per_address: 16_000,
  head_ms: 30_000,
  idle_ms: 300_000,
  stop_idle_ms: 1_000,
  linger_ms: 2_000,
  held_bytes: 65_536,
  steps_a_turn: 64,
  drained_bytes: 65_536,
  first_bytes_ms: 10_000,
};
