/**
 * The one error catalogue. A code is stable for ever; its text may improve.
 *
 * `status` is what an HTTP edge answers, `exit` what the command line ends with (sysexits: 64 usage, 69 missing or
 * unreachable, 70 internal, 75 try again, 77 refused, 78 configuration), `expose` says whether `detail` may be shown to
 * the caller, `retryable` whether the same request may succeed later by itself, `next` the step a person can take.
 * A denial by policy is a value (`Decision`); an error is thrown when we cannot decide or do.
 */
export interface ErrorEntry {
  readonly status: number;
  readonly exit: number;
  readonly expose: boolean;
  readonly retryable: boolean;
  readonly title: string;
  readonly next: string;
  /** Seconds that a caller waits where nobody knows better: where there is too much, or something is away, and either may pass by itself. */
  readonly retry_after?: number;
}

const entry = (status: number, exit: number, retryable: boolean, title: string, next: string, expose = true): ErrorEntry => ({
  status, exit, expose, retryable, title, next,
  ...(retryable && (status === 429 || status === 503) && { retry_after: 1 }),
});

export const errorCatalogue = {
  // Refusals that the proxy speaks to an agent (proxy.md's table).
  policy_denied: entry(403, 77, false, 'Denied by policy', 'Ask an operator to allow this host, port, method and path; another route will be refused as well.'),
  approval_required: entry(403, 77, true, 'Needs an approval', 'An approval has to be given before this can be sent; then repeat the same request.'),
  needs_interception: entry(403, 77, true, 'Bytes inside this tunnel cannot be judged', 'Ask the operator to look into TLS (--intercept), or to let the bytes through unseen (--allow HOST:PORT:TUNNEL); or use plain HTTP.'),
  interception_failed: entry(400, 69, false, 'TLS with the client came to nothing', 'Let the client trust the CA (sallyport ca export), or ask the operator to allow the host as an opaque tunnel (--allow HOST:PORT:TUNNEL).'),
  budget_exhausted: entry(403, 77, true, 'Budget exhausted', 'Ask an operator for a larger budget; other meters of this run can still be used.'),
  rate_limited: entry(429, 75, true, 'Too many at once', 'Wait for the time in Retry-After, then try again with fewer connections.'),
  run_paused: entry(403, 77, true, 'The run is paused', 'Wait until the run is resumed.'),
  run_ended: entry(403, 77, false, 'The run has ended', 'Start a new run.'),
  stale_epoch: entry(403, 77, false, 'The credentials belong to an earlier start of this run', 'Use the credentials of the present start.'),
  unknown_run: entry(403, 77, false, 'No such run', 'Check the run id, or create a run.'),
  proxy_authentication_required: entry(407, 77, true, 'Proxy credentials are missing or wrong', 'Send Proxy-Authorization: Basic with the run id and its token (see sallyport runs create --env).'),
  bad_request: entry(400, 64, false, 'The request cannot be read one way only', 'Send a well-formed HTTP/1.1 request.'),
  request_timeout: entry(408, 75, true, 'The request did not arrive in time', 'Send the whole head of the request at once.'),
  ambiguous_target: entry(400, 64, false, 'The target of the request is ambiguous', 'Name one host, one port and one path, spelled canonically.'),
  path_not_canonical: entry(400, 64, false, 'The path is not in its canonical form', 'Send the path without dot segments, duplicate slashes or needless percent-encoding.'),
  not_supported: entry(501, 69, false, 'This form of request is not supported', 'Use plain HTTP, or CONNECT to a host that is allowed as a tunnel.'),
  no_policy: entry(503, 75, true, 'No policy is loaded', 'Try again shortly; if it stays, the operator should look at sallyport doctor.'),
  policy_invalid_decision: entry(503, 70, false, 'Policy gave an answer that is not a decision', 'Tell the policy author; the request was not sent.'),
  engine_error: entry(503, 70, true, 'Policy could not be evaluated', 'Try again; if it stays, tell the operator. The request was not sent.'),
  journal_unavailable: entry(503, 75, true, 'The journal cannot be written', 'Try again; if it stays, the operator should look at disk space and the control plane. Nothing is sent unrecorded.'),
  snapshot_expired: entry(503, 75, true, 'The proxy has not heard from its control plane for too long', 'Try again when the control plane is back.'),
  overloaded: entry(503, 75, true, 'The proxy is at its limits', 'Wait for the time in Retry-After, then try again.'),
  upstream_dns: entry(502, 69, true, 'The name could not be resolved', 'Check the host name.'),
  upstream_refused: entry(502, 69, true, 'The other side refused the connection', 'Check that the service listens on this port.'),
  upstream_timeout: entry(504, 75, true, 'The other side did not answer in time', 'Try again later.'),
  upstream_tls: entry(502, 69, false, 'TLS with the other side failed', 'Check its certificate.'),
  upstream_reset: entry(502, 75, true, 'The other side closed the connection', 'Try again.'),
  upstream_protocol: entry(502, 69, false, 'The other side did not speak valid HTTP', 'Check the service.'),
  upstream_unreachable: entry(502, 69, true, 'The other side could not be reached', 'Try again later; if it stays, the operator should check the network of the proxy.'),
  // The control plane's API.
  invalid_request: entry(422, 64, false, 'The request has mistakes', 'Mend the fields that are named.'),
  malformed_json: entry(400, 64, false, 'The body is not JSON', 'Send a JSON object.'),
  body_too_large: entry(413, 64, false, 'The body is too large', 'Send less.'),
  not_found: entry(404, 69, false, 'Not found', 'Check the address and the id.'),
  method_not_allowed: entry(405, 64, false, 'This method is not allowed here', 'See the Allow header.'),
  unauthenticated: entry(401, 77, false, 'Credentials are missing or wrong', 'Send Authorization: Bearer with a valid key.'),
  forbidden: entry(403, 77, false, 'These credentials may not do this', 'Use credentials of the right kind.'),
  illegal_transition: entry(409, 77, false, 'The run cannot go there from its present state', 'Look at its state: sallyport runs show RUN_ID.'),
  session_busy: entry(409, 75, true, 'The session already has an active run', 'Wait for it to end, or send queue: true.'),
  journal_forked: entry(409, 70, false, 'A journal segment was sent twice with different content', 'Stop this proxy and keep its journal for inspection.'),
  journal_gap: entry(409, 75, true, 'A journal segment is missing before this one', 'Send the segments in order.'),
  database_unavailable: entry(503, 69, true, 'The database cannot be reached', 'Check DATABASE_URL and that Postgres is running; nothing was changed.'),
  chain_conflict: entry(503, 70, false, 'The chain is older than its last seal', 'The database was restored or tampered with; see docs/operations.md.'),
  // The command line and the machine.
  usage: entry(400, 64, false, 'The command cannot be understood', 'See --help.'),
  configuration: entry(500, 78, false, 'The configuration is wrong', 'Mend what is listed.'),
  policy_folder: entry(500, 78, false, 'The policy folder cannot be used', 'Run sallyport policy check and sallyport policy build.'),
  compiler_missing: entry(503, 69, false, 'The policy compiler is not installed', 'Run npm run setup.'),
  policy_check_failed: entry(422, 78, false, 'The policy has mistakes', 'Mend what is listed.'),
  missing_tool: entry(500, 69, false, 'Something this machine needs is missing', 'Run npm run setup.'),
  jail_unavailable: entry(500, 69, false, 'No jail can be had on this machine', 'Run sallyport doctor: it says why and what to do.'),
  jail_spec: entry(422, 78, false, 'The jail cannot be built as described', 'Mend what is listed.'),
  data_folder_in_use: entry(500, 75, true, 'Another process owns this data folder', 'Stop it with sallyport down, or choose another folder with --data.'),
  data_folder: entry(500, 78, false, 'The data folder cannot be used', 'Choose a folder of your own with --data.'),
  authority: entry(500, 78, false, 'The certificate authority cannot be used', 'Look at the folder ca in the data folder; restore it from a backup, or move it away: then a new authority is made, which clients outside of jails have to be told to trust.'),
  port_in_use: entry(500, 69, true, 'The address is already in use', 'Choose another with --listen or --api.'),
  control_plane_unreachable: entry(503, 69, true, 'The control plane cannot be reached', 'Try again when the control plane is back.'),
  disk_full: entry(507, 75, true, 'The disk is full', 'Free some space; nothing was half-written.'),
  verification_failed: entry(422, 77, false, 'The chain does not verify', 'See the first place that fails; keep the export for inspection.'),
  internal: entry(500, 70, false, 'Internal error', 'Tell the operator; the log has the details.', false),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

/** A mistake in an input: `path` as in `policy.allow[0].ports`. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export interface ErrorExtras {
  readonly errors?: readonly FieldError[];
  readonly legal?: readonly string[];
  /** Seconds. */
  readonly retry_after?: number;
  readonly next_steps?: readonly string[];
  readonly cause?: unknown;
}

/** Thrown when we cannot decide or do; `message` is the detail, for a person. */
export class SallyportError extends Error {
  override readonly name = 'SallyportError';
  readonly code: ErrorCode;
  readonly extras: ErrorExtras;

  constructor(code: ErrorCode, detail: string, extras: ErrorExtras = {}) {
    super(detail, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.code = code;
    this.extras = extras;
  }

  get entry(): ErrorEntry {
    return errorCatalogue[this.code];
  }

  /** Seconds; `undefined` where waiting alone does not help. */
  get retry_after(): number | undefined {
    return this.extras.retry_after ?? this.entry.retry_after;
  }
}

/** RFC 9457 `application/problem+json`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly instance?: string;
  readonly errors?: readonly FieldError[];
  readonly legal?: readonly string[];
  readonly retry_after?: number;
  readonly next_steps?: readonly string[];
}

/** The problem document of an error; `instance` is the id of the event or request it belongs to. */
export function toProblem(error: SallyportError, instance?: string): Problem {
  const { status, title, next, expose } = error.entry;
  const { errors, legal, next_steps } = error.extras;
  const { retry_after } = error;
  return {
    type: `https://sallyport.example/problems/${error.code}`,
    title,
    status,
    code: error.code,
    detail: expose ? error.message : title,
    ...(instance !== undefined && { instance }),
    ...(errors !== undefined && { errors }),
    ...(legal !== undefined && { legal }),
    ...(retry_after !== undefined && { retry_after }),
    next_steps: next_steps ?? [next],
  };
}

/** Any thrown value as a `SallyportError`; what we did not foresee becomes `internal`. */
export function toSallyportError(thrown: unknown): SallyportError {
  if (thrown instanceof SallyportError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SallyportError('internal', message, { cause: thrown });
}
