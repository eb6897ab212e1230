import type { RequestHead } from '../exchange.ts';

/** Methods that mean the same sent twice (RFC 9110, section 9.2.2). */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY']);

/** Where a connection proved dead before anything came back. */
export function mayBeSentAgain({ method, framing }: RequestHead): boolean {
  return framing.kind === 'none' && idempotent.has(method);
}
