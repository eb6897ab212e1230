import { timingSafeEqual } from 'node:crypto';
import { sha256 } from '../../contracts/digest.ts';
import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Exchange, Source } from '../exchange.ts';
import type { LiveRun, Runs } from '../runs.ts';
import type { FailedAttempts } from './attempts.ts';
import { credentialsField, epochOf, parseCredentials } from './credentials.ts';
import { ended, staleEpoch, standing } from './rules.ts';

/** The run that an exchange belongs to, at the epoch in which it was identified. */
export interface Caller {
  readonly run: LiveRun;
  readonly epoch: number;
}

/** To whom a refusal is recorded; nobody when nothing was proven. */
export interface Attribution {
  readonly run_id: string;
  readonly session_id: string;
}

export type Identity =
  | { readonly kind: 'caller'; readonly caller: Caller }
  /** `recorded: false`: a mere challenge, or one of too many attempts. `caller`: who it is was proven, it only may not send now. */
  | { readonly kind: 'refused'; readonly problem: SallyportError; readonly attribution: Attribution | undefined; readonly recorded: boolean; readonly caller?: Caller };

export interface IdentifyContext {
  readonly runs: Runs;
  readonly attempts: FailedAttempts;
  readonly clock: Clock;
  /** Why nothing can be decided at present: the snapshot has expired, or there is no policy. */
  readonly unready: () => SallyportError | undefined;
}

/** Which run this is. A run's own listener is its identity whatever the request says; elsewhere run id and token have to fit. */
export function identify(exchange: Pick<Exchange, 'source' | 'form' | 'head'>, context: IdentifyContext): Identity {
  const { source, form } = exchange;
  const identity = form.kind === 'inside' ? again(form.caller as Caller, context)
    : source.kind === 'run' ? byListener(source.run_id, context)
      : byCredentials(exchange.head.headers, source, context);
  if (identity.kind === 'refused') return identity;
  const { run } = identity.caller;
  const problem = context.unready() ?? standing(run.snapshot, context.clock.now());
  return problem === undefined ? identity : { kind: 'refused', problem, attribution: attributionOf(run), recorded: true, caller: identity.caller };
}

export function attributionOf(run: LiveRun): Attribution {
  return run.attribution;
}

function accept(run: LiveRun): Identity {
  return { kind: 'caller', caller: { run, epoch: run.snapshot.epoch } };
}

function refused(problem: SallyportError, attribution: Attribution | undefined, recorded: boolean = true): Identity {
  return { kind: 'refused', problem, attribution, recorded };
}

/** A request inside a CONNECT: whoever opened the tunnel, if that still holds. */
function again(caller: Caller, { runs }: IdentifyContext): Identity {
  const { run, epoch } = caller;
  if (runs.get(run.run_id) !== run) return refused(ended(), attributionOf(run));
  return run.snapshot.epoch === epoch ? { kind: 'caller', caller } : refused(staleEpoch(), attributionOf(run));
}

function byListener(runId: string, { runs, unready }: IdentifyContext): Identity {
  const run = runs.get(runId);
  if (run !== undefined) return accept(run);
  const over = runs.ended(runId);
  if (over !== undefined) return refused(ended(), { run_id: runId, session_id: over.session_id });
  return refused(unready() ?? new SallyportError('unknown_run', 'This listener belongs to a run that does not exist.'), undefined);
}

/**
 * What a connection has proven last, by the `Source` that it alone has: the same field again need not be hashed again, as long as
 * the run still has the token that was compared.
 */
const proven = new WeakMap<object, { readonly field: string; readonly run: LiveRun; readonly tokenSha256: Buffer }>();

function byCredentials(headers: readonly string[], source: Extract<Source, { kind: 'tcp' }>, context: IdentifyContext): Identity {
  const { runs } = context;
  const { remote } = source;
  const field = credentialsField(headers);
  const before = proven.get(source);
  if (before !== undefined && before.field === field && runs.get(before.run.run_id) === before.run && before.run.tokenSha256 === before.tokenSha256) return accept(before.run);
  const credentials = parseCredentials(field);
  if (credentials.kind === 'none') {
    return refused(new SallyportError('proxy_authentication_required', 'This proxy serves runs only: send the run id and its token.'), undefined, false);
  }
  if (credentials.kind === 'malformed') return failed(wrong('The credentials cannot be read.'), remote, context);

  const digest = sha256(credentials.token);
  const run = credentials.run_id === undefined ? runs.byToken(Buffer.from(digest).toString('hex')) : runs.get(credentials.run_id);
  if (run === undefined) {
    const over = credentials.run_id === undefined ? undefined : runs.ended(credentials.run_id);
    if (over !== undefined && timingSafeEqual(digest, over.tokenSha256)) return refused(ended(), { run_id: credentials.run_id!, session_id: over.session_id });
    return failed(credentials.run_id === undefined ? wrong('No run has this token.') : new SallyportError('unknown_run', 'There is no such run.'), remote, context);
  }
  if (!timingSafeEqual(digest, run.tokenSha256)) {
    const epoch = epochOf(credentials.token);
    return failed(epoch !== undefined && epoch < run.snapshot.epoch ? staleEpoch() : wrong('The token is not this run\'s.'), remote, context);
  }
  if (run.snapshot.channel === 'jail') return failed(wrong('This run\'s agent is jailed: its token works only through its jail.'), remote, context);
  if (typeof field === 'string') proven.set(source, { field, run, tokenSha256: run.tokenSha256 });
  return accept(run);
}

function wrong(detail: string): SallyportError {
  return new SallyportError('proxy_authentication_required', detail);
}

function failed(problem: SallyportError, remote: string, { attempts, unready }: IdentifyContext): Identity {
  // A worker that has just started knows no run yet; that is not the client's fault, and it should come again.
  const early = unready();
  if (early !== undefined) return refused(early, undefined, false);
  if (attempts.failed(remote)) return refused(problem, undefined);
  return refused(new SallyportError('rate_limited', 'Too many failed attempts from this address.'), undefined, false);
}
