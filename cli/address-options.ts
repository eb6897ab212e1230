import { formatAddress, parseAddress } from '../contracts/address-text.ts';
import { canonicalHost } from '../contracts/host.ts';
import type { ResolveEntry } from '../contracts/run-policy.ts';
import type { Parsed } from './budget-option.ts';

/** `10.1.0.0/16`, `fd00::/8`, or one address. Gives the range in its canonical spelling. */
export function parseRange(text: string): Parsed<string> {
  const slash = text.indexOf('/');
  const address = parseAddress((slash < 0 ? text : text.slice(0, slash)).replace(/^\[(.*)\]$/, '$1'));
  if (address === undefined) return { mistake: `"${text}" is not an address or a range like 10.1.0.0/16` };
  const most = address.length * 8;
  const bitsText = slash < 0 ? String(most) : text.slice(slash + 1);
  const bits = /^(?:0|[1-9][0-9]{0,2})$/.test(bitsText) ? Number(bitsText) : most + 1;
  if (bits > most) return { mistake: `"/${bitsText}" is not a prefix length from 0 to ${most}` };
  const base = address.map((byte, index) => byte & (0xff << Math.max(0, Math.min(8, 8 - (bits - index * 8)))));
  const range = `${formatAddress(base)}/${bits}`;
  // Most likely one of the two is a slip, and they differ by a lot of hosts.
  return base.every((byte, index) => byte === address[index]) ? { value: range } : { mistake: `"${text}" has bits beyond its prefix: write ${range} for the range, or the address alone` };
}

/** `HOST:PORT:ADDRESS`, as curl has it; either address form of IPv6. */
export function parseResolve(text: string): Parsed<ResolveEntry> {
  const match = /^([^:[\]]+):([0-9]+):(?:\[([^\]]+)\]|(.+))$/.exec(text);
  if (match === null) return { mistake: `"${text}" is not HOST:PORT:ADDRESS` };
  const host = canonicalHost(match[1] ?? '');
  if (!host.ok) return { mistake: `"${match[1]}" is not a host: ${host.reason}` };
  if (host.is_ip_literal) return { mistake: `"${match[1]}" is an address already` };
  const port = Number(match[2]);
  if (port < 1 || port > 65_535) return { mistake: `"${match[2]}" is not a port from 1 to 65535` };
  const addressText = match[3] ?? match[4] ?? '';
  const address = parseAddress(addressText);
  return address === undefined ? { mistake: `"${addressText}" is not an address` } : { value: { host: host.host, port, address: formatAddress(address) } };
}
