import { escapeText, table } from '../text.ts';
import type { ReadyReport } from './messages.ts';

/** What `up`, or a proxy elsewhere, says when it is ready. */
export function describeReady({ addresses, notices }: ReadyReport, folder: string): string {
  const rows: string[][] = [];
  const proxy = formatAddress(addresses['proxy']);
  const api = formatAddress(addresses['api']);
  // Without an API of its own it is a proxy whose runs are made elsewhere, where nobody knows its address.
  if (proxy !== undefined) rows.push(['proxy', `http://${proxy}   agents with credentials: sallyport runs create --env${api === undefined ? ` --proxy ${proxy}` : ''}`]);
  if (api !== undefined) rows.push(['API', `http://${api}   operators with a key`]);
  rows.push(['data', escapeText(folder, 500)]);
  return ['Sallyport is ready. Ctrl-C or sallyport down ends it.', ...table(rows).map((line) => `  ${line}`), ...notices.map((notice) => escapeText(notice, 1000)), ''].join('\n');
}

/** `host:port` of what a child says about where it listens. */
export function formatAddress(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const { host, port } = value as { readonly host?: unknown; readonly port?: unknown };
  return typeof host === 'string' && typeof port === 'number' ? `${host.includes(':') ? `[${host}]` : host}:${port}` : undefined;
}
