import { SallyportError } from '../../contracts/errors.ts';

/** Seconds that a client is told to wait. */
const retryAfter = 1;

/** System errors of a connection that could not be had or broke. */
const connectionErrors = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'EACCES']);

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
  const unavailable = meansUnavailable(codeOf(inner)) || connectionErrors.has(codeOf(inner)) || connectionMessages.test(message);
  if (!unavailable) return error;
  return new SallyportError('database_unavailable', `The database cannot be reached: ${message || codeOf(inner)}.`, { cause: error, retry_after: retryAfter });
}
