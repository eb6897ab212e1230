import { bareWire } from './bare-wire.ts';
import { bump } from './bump.ts';
import { direct } from './direct.ts';
import { haproxy } from './haproxy.ts';
import { mitmproxy } from './mitmproxy.ts';
import type { Peer } from './peer.ts';
import { sallyport } from './sallyport.ts';
import { squid } from './squid.ts';
import { tinyproxy } from './tinyproxy.ts';

export const peers: readonly Peer[] = [direct, sallyport, squid, bump, tinyproxy, mitmproxy, haproxy, bareWire];

/** Ratios are to this one, in the same round, unless a work says otherwise. */
export const reference = squid.name;
