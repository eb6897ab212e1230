import type { Protocol } from '../wire/alpn.ts';

/**
 * What a client may choose from, the best first (RFC 7301), given what it offers: HTTP/2 where it is offered, unless the origin is known
 * not to take it and the client has a choice, since nothing is lost then by speaking the same on both sides.
 */
export function protocolsFor(offered: readonly string[], originTakesHttp2: boolean | undefined): readonly Protocol[] {
  if (!offered.includes('h2')) return ['http/1.1'];
  if (!offered.includes('http/1.1')) return ['h2'];
  return originTakesHttp2 === false ? ['http/1.1'] : ['h2', 'http/1.1'];
}
