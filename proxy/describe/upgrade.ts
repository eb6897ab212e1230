import { SallyportError } from '../../contracts/errors.ts';
import type { RequestHead } from '../exchange.ts';

/** The one protocol that may be offered to any host that may be asked: a handshake is a request, and is judged as one. */
export const webSocket = 'websocket';

/** RFC 9110, section 7.8: a name, perhaps with a version. */
const protocol = /^[!#$%&'*+.^_`|~0-9a-z-]{1,64}(?:\/[!#$%&'*+.^_`|~0-9a-z-]{1,64})?$/;

/**
 * The protocol that a request offers to switch to, in lower case; undefined when it offers none that is passed on. Where several are
 * offered only a web socket is, and HTTP/2 in clear text never: it would be a connection whose requests nobody judges.
 */
export function upgradeOf({ method, upgrade, framing }: Pick<RequestHead, 'method' | 'upgrade' | 'framing'>): string | undefined {
  if (upgrade === undefined) return undefined;
  const offers = upgrade.split(', ').filter((offer) => offer !== 'h2c');
  const offer = offers.includes(webSocket) ? webSocket : offers[0]!;
  if (!protocol.test(offer)) throw new SallyportError('bad_request', 'The field Upgrade is not a list of protocols.');
  if (offer !== webSocket && offers.length > 1) throw new SallyportError('not_supported', 'Offer one protocol at a time.');
  if (framing.kind === 'chunked' || (framing.kind === 'length' && framing.bytes > 0)) throw new SallyportError('bad_request', 'A request that offers to switch protocols has no body.');
  // RFC 6455, section 4.1.
  if (offer === webSocket && method !== 'GET') throw new SallyportError('bad_request', 'A web socket is asked for by GET.');
  return offer;
}
