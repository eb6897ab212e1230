import { isIP } from 'node:net';
import { escapeText } from './text.ts';
import type { Parsed } from './budget-option.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:3128`, `[::1]:3128` or `localhost:3128`; port 0 takes a free one. */
export function parseListenAddress(text: string): Parsed<ListenAddress> {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+|localhost)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || (host !== 'localhost' && isIP(host) === 0)) return { mistake: `"${escapeText(text)}" is not an address and a port like 127.0.0.1:3128` };
  if (port > 65_535) return { mistake: `${port} is not a port` };
  return { value: { host: host === 'localhost' ? '127.0.0.1' : host, port } };
}

export function isLoopback({ host }: ListenAddress): boolean {
  return host === '::1' || host.startsWith('127.');
}
