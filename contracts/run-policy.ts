import { isIP } from 'node:net';
import { z } from 'zod';
import { canonicalHost } from './host.ts';
import { parseCidr } from './addresses.ts';
import { jsonObjectSchema, type JsonValue } from './json.ts';
import type { Channel } from './run.ts';
import { runPolicyLimits } from './run-policy-limits.ts';

/** One `--allow`: what the run itself may reach. Pack `run` gives it effect (policies/packs/run/README.md). */
export interface AllowEntry {
  readonly id: string;
  /** A canonical host (lower case, ASCII, no final dot, IPv6 without brackets), or `*.suffix` for every name below it. */
  readonly host: string;
  readonly ports: readonly number[];
  /** HTTP methods, or `["*"]` for any, or `["TUNNEL"]` for bytes that nobody looks into. */
  readonly methods: readonly string[];
  /** `/api` covers `/api` and what is below it; `/api/` only what is below it; null covers every path. */
  readonly path_prefix: string | null;
}

/** Whether an entry speaks of this canonical host. */
export function speaksOf(entry: Pick<AllowEntry, 'host'>, host: string): boolean {
  return entry.host === host || (entry.host.startsWith('*.') && host.endsWith(entry.host.slice(1)));
}

/** As curl's `--resolve`: this name and port is dialled at that address, which is still classified. */
export interface ResolveEntry {
  readonly host: string;
  readonly port: number;
  readonly address: string;
}

/** Policy of one run: `POST /chat/run`'s `policy`, the command line's policy options, and the proxies' snapshot of it. */
export interface RunPolicy {
  readonly packs: readonly string[];
  readonly allow: readonly AllowEntry[];
  /** Non-public ranges (CIDR) that this run may dial; metadata and own addresses stay refused. */
  readonly allow_addresses: readonly string[];
  readonly resolve: readonly ResolveEntry[];
  /** Parameters by pack. */
  readonly params: Readonly<Record<string, Readonly<Record<string, JsonValue>>>>;
  readonly mode: 'enforce' | 'observe';
  /** TLS is ended at the proxy, so that what is inside is judged; the agent has to trust our authority. */
  readonly intercept: boolean;
}

function isCanonicalHost(host: string): boolean {
  const canonical = canonicalHost(host);
  return canonical.ok && canonical.host === host;
}

/** A canonical host, or `*.` before a canonical name. */
export function isAllowHost(host: string): boolean {
  if (!host.startsWith('*.')) return isCanonicalHost(host);
  return isCanonicalHost(host.slice(2)) && isIP(host.slice(2)) === 0;
}

/** A CIDR range: `10.1.0.0/16`, `fd00::/8`. */
export function isRange(text: string): boolean {
  return text.includes('/') && parseCidr(text).ok;
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let deepest = 0;
  for (const child of Object.values(value)) deepest = Math.max(deepest, depthOf(child));
  return deepest + 1;
}

const port = z.int().min(1).max(65_535);
const packName = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'a pack name is lower case letters, digits and _');

const allowEntrySchema = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'an id is 1 to 64 letters, digits, dots, - or _'),
  host: z.string().refine(isAllowHost, 'must be a host in its canonical form (lower case, no final dot), or *.suffix'),
  ports: z.array(port).min(1).max(runPolicyLimits.ports),
  methods: z.array(z.string().regex(/^(?:\*|[A-Z][A-Z0-9_-]{0,31})$/, 'must be an HTTP method in capitals, *, or TUNNEL')).min(1).max(runPolicyLimits.methods)
    .refine((methods) => methods.length === 1 || !methods.includes('*'), '* stands alone')
    .refine((methods) => methods.length === 1 || !methods.includes('TUNNEL'), 'TUNNEL stands alone: nobody looks inside it'),
  path_prefix: z.string().regex(/^\/[^?#\s\p{Cc}]*$/u, 'must start with / and hold no query').max(1024).nullable().default(null),
}).refine((entry) => entry.path_prefix === null || entry.methods[0] !== 'TUNNEL', { path: ['path_prefix'], error: 'a tunnel has no path: nobody looks inside it' });

const resolveEntrySchema = z.strictObject({
  host: z.string().refine((host) => isCanonicalHost(host) && isIP(host) === 0, 'must be a host name in its canonical form'),
  port,
  address: z.string().refine((address) => isIP(address) !== 0 && !address.includes('%'), 'must be an IP address'),
});

const paramsSchema = z.record(packName, jsonObjectSchema)
  .refine((params) => JSON.stringify(params).length <= runPolicyLimits.params, `parameters take more than ${runPolicyLimits.params} characters together`)
  .refine((params) => depthOf(params) <= runPolicyLimits.depth, `parameters are nested deeper than ${runPolicyLimits.depth}`);

/** Fills in what is left out; `{}` is a policy that allows nothing. */
export const runPolicySchema = z.strictObject({
  packs: z.array(packName).max(runPolicyLimits.packs).default([]),
  allow: z.array(allowEntrySchema).max(runPolicyLimits.allow).default([])
    .refine((allow) => new Set(allow.map((entry) => entry.id)).size === allow.length, 'two entries have the same id'),
  allow_addresses: z.array(z.string().refine(isRange, 'must be a range of addresses with no bits beyond its prefix, such as 10.1.0.0/16')).max(runPolicyLimits.allow_addresses).default([]),
  resolve: z.array(resolveEntrySchema).max(runPolicyLimits.resolve).default([]),
  params: paramsSchema.default({}),
  mode: z.enum(['enforce', 'observe']).default('enforce'),
  intercept: z.boolean().default(false),
});

/** As it is asked for: what leaves `intercept` out gets what is usual for the run's channel. */
export const wantedRunPolicySchema = runPolicySchema.extend({ intercept: z.boolean().optional() });

/** A jail trusts our authority; what runs elsewhere has to be told to. */
export function interceptsByDefault(channel: Channel): boolean {
  return channel === 'jail';
}
