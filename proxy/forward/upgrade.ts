import type { ResponseHead } from '../exchange.ts';
import { fieldValues, listMembers } from '../wire/fields.ts';
import type { OriginSide } from './relay.ts';
import type { Upstream } from './upstream.ts';

/** Whether a 101 takes up this offer and nothing else (RFC 9110, sections 7.8 and 15.2.2). */
export function takesUp({ version, headers }: Pick<ResponseHead, 'version' | 'headers'>, offer: string | undefined): boolean {
  if (offer === undefined || version !== '1.1' || !listMembers(fieldValues(headers, 'connection')).includes('upgrade')) return false;
  const named = listMembers(fieldValues(headers, 'upgrade'));
  return named.length === 1 && named[0] === offer;
}

/** A connection that speaks HTTP no more; it never returns to the pool. */
export function switchedSide(upstream: Upstream): OriginSide {
  const side: OriginSide = { socket: upstream.socket, address: upstream.address, read: nothing, held: () => false };
  // Whoever relays listens to the socket itself, and has a time-out of its own.
  upstream.expect(Infinity);
  upstream.socket.allowHalfOpen = true;
  upstream.use({
    // All connections that speak HTTP read into one buffer.
    onBytes: (bytes) => { side.read(Buffer.from(bytes)); },
    onDrain: nothing, onEnd: nothing, onClose: nothing, onOverdue: nothing,
  });
  return side;
}

function nothing(): void { /* See above. */ }
