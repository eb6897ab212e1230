import { SallyportError } from '../../contracts/errors.ts';

/**
 * System errors of a connection that could not be had or broke. The call tells them from a file that is missing; a client of ours that
 * goes away in the middle of its request is an ECONNRESET of no call at all.
 */
function meansBrokenConnection(error: unknown): boolean {
  const { code, syscall } = (error ?? {}) as { readonly code?: unknown; readonly syscall?: unknown };
  if (syscall === 'connect' || syscall === 'getaddrinfo') return true;
  return (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ETIMEDOUT') && (syscall === 'read' || syscall === 'write');
}

/** pg says these without a code. */
const connectionMessages = /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|timeout expired)/;

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
function meansUnavailable(code: string): boolean {
  return code.startsWith('08') // connection exception
    || code.startsWith('28') // invalid authorization
    || code.startsWith('57P') // shut down, cannot connect now, database dropped
    || code === '3D000' // no such database
    || code === '53300'; // too many connections
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

/** A deadlock or a serialisation failure: the transaction was rolled back and may be run again. */
export function mayRetry(error: unknown): boolean {
  return codeOf(error) === '40001' || codeOf(error) === '40P01';
}

/** Whether a unique key decided against us. */
export function isConflict(error: unknown, constraint: string): boolean {
  return codeOf(error) === '23505' && (error as { constraint?: string }).constraint === constraint;
}

/** What a failed statement means to a caller; what is no matter of reachability stays as it is. */
export function toDatabaseError(error: unknown): unknown {
  if (error instanceof SallyportError) return error;
  const inner = error instanceof AggregateError ? (error.errors as unknown[])[0] : error;
  const message = inner instanceof Error ? inner.message : String(inner);
  const unavailable = meansUnavailable(codeOf(inner)) || meansBrokenConnection(inner) || connectionMessages.test(message);
  if (!unavailable) return error;
  return new SallyportError('database_unavailable', `The database cannot be reached: ${message || codeOf(inner)}.`, { cause: error });
}
