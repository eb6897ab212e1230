import { z } from 'zod';
import { parseAuthority, suffixes } from './host.ts';
import { isAllowHost } from './run-policy.ts';

const rulesMax = 64;
const hostsMax = 256;

const proxyUrl = /^http:\/\/([^/?#]+)\/?$/;

/** Host and port of `http://proxy.corp.example:3128`; a text is what is wrong with it. */
export function readProxyUrl(text: string): { readonly host: string; readonly port: number } | string {
  const [, authority] = proxyUrl.exec(text) ?? [];
  if (authority === undefined) return 'must be "direct" or an address such as http://proxy.corp.example:3128';
  if (authority.includes('@')) return 'must be without credentials, which go into the file that credentials_file names';
  const parsed = parseAuthority(authority);
  return parsed.ok ? { host: parsed.host, port: parsed.port } : `is not the address of a proxy: ${parsed.reason}`;
}

const fields = {
  /** A canonical host, `*.suffix`, or `*`; the first rule of the list that has one that matches decides. */
  hosts: z.array(z.string().refine((host) => host === '*' || isAllowHost(host), 'must be a host in its canonical form (lower case, no final dot), *.suffix, or *')).min(1, 'names no host').max(hostsMax),
  proxy: z.string().superRefine((text, context) => {
    const read = text === 'direct' ? undefined : readProxyUrl(text);
    if (typeof read === 'string') context.addIssue({ code: 'custom', message: read });
  }),
  /** `here`: we resolve and classify, and name the address to the proxy. `there`: the proxy gets the name, and we don't know where it leads. */
  resolve: z.enum(['here', 'there']).default('here'),
} as const;

const noneIfDirect = 'a direct connection has no proxy to resolve or to show credentials to';

/** User and password in one line (RFC 7617: the first colon parts them). */
export const proxyCredentials = z.string().regex(/^[^:\p{Cc}]+:[^\p{Cc}]*$/u, 'must be one line, USER:PASSWORD').max(1024);

/** As the worker is told them. */
export const upstreamProxiesSchema = z.array(
  z.strictObject({ ...fields, credentials: proxyCredentials.optional() })
    .refine((rule) => rule.proxy !== 'direct' || (rule.resolve === 'here' && rule.credentials === undefined), { path: ['proxy'], error: noneIfDirect }),
).max(rulesMax);

/** As an operator writes them: secrets stay in files of their own. */
export const upstreamProxiesFileSchema = z.array(
  z.strictObject({ ...fields, credentials_file: z.string().min(1).max(4096).optional() })
    .refine((rule) => rule.proxy !== 'direct' || (rule.resolve === 'here' && rule.credentials_file === undefined), { path: ['proxy'], error: noneIfDirect }),
).max(rulesMax);

export type UpstreamProxyRule = z.infer<typeof upstreamProxiesSchema>[number];

/** Position of the first rule by each of its hosts. */
export function indexRules(rules: readonly UpstreamProxyRule[]): ReadonlyMap<string, number> {
  const first = new Map<string, number>();
  for (const [position, { hosts }] of rules.entries()) for (const host of hosts) if (!first.has(host)) first.set(host, position);
  return first;
}

/** Which rule a canonical host belongs to. */
export function ruleOf(index: ReadonlyMap<string, number>, host: string): number | undefined {
  const [, ...above] = suffixes(host);
  let best = Infinity;
  for (const pattern of [host, ...above.map((suffix) => `*.${suffix}`), '*']) best = Math.min(best, index.get(pattern) ?? Infinity);
  return best === Infinity ? undefined : best;
}
