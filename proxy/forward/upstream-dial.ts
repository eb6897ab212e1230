import type { Permit } from '../enforce/permit.ts';
import type { RequestHead } from '../exchange.ts';
import type { ForwardContext } from './context.ts';
import { dial, type Dialling } from './dial.ts';
import { dialOrigin } from './origin-connection.ts';
import { openUpstream, upstreamOn, type Upstream } from './upstream.ts';

/** A connection for HTTP/1.1 with the origin of a permit, in clear text or in TLS as its scheme says. */
export function dialUpstream(permit: Permit, context: ForwardContext): Dialling<Upstream> {
  const { clock, limits, sweep } = context;
  if (permit.scheme === 'http') return dial(permit, (address, to) => openUpstream(address, to, sweep), clock, limits);
  const { connected, cancel } = dialOrigin(permit, context, ['http/1.1']);
  return { connected: connected.then((connection) => upstreamOn(connection, sweep)), cancel };
}

/** Methods that mean the same sent twice (RFC 9110, section 9.2.2). */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY']);

/** Where a connection proved dead before anything came back. */
export function mayBeSentAgain({ method, framing }: RequestHead): boolean {
  return framing.kind === 'none' && idempotent.has(method);
}
