import { bareWire } from './bare-wire.ts';
import { direct } from './direct.ts';
import { haproxy } from './haproxy.ts';
import { mitmproxy } from './mitmproxy.ts';
import type { Peer } from './peer.ts';
import { sallyport } from './sallyport.ts';
import { squid } from './squid.ts';
import { tinyproxy } from './tinyproxy.ts';

export const peers: readonly Peer[] = [direct, sallyport, squid, tinyproxy, mitmproxy, haproxy, bareWire];

/** All ratios are to this one, in the same round. */
export const reference = squid.name;
