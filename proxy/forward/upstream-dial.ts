import type { Permit } from '../enforce/permit.ts';
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
