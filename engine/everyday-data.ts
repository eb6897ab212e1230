import { z } from 'zod';
import type { FieldError } from '../contracts/errors.ts';
import { isAllowHost, isRange } from '../contracts/run-policy.ts';

const profileSchema = z.strictObject({
  ports: z.array(z.int().min(1).max(65_535)).min(1).max(16),
  methods: z.array(z.string().regex(/^(?:\*|[A-Z][A-Z0-9_-]{0,31})$/, 'must be an HTTP method in capitals, or *')).max(32),
  path_prefixes: z.array(z.string().startsWith('/')).max(64),
  passthrough: z.boolean(),
  raw: z.boolean().optional(),
  addresses: z.array(z.string().refine(isRange, 'must be a range of addresses, such as 10.1.0.0/16')).max(16),
}).refine((profile) => !profile.passthrough || (profile.methods.length === 0 && profile.path_prefixes.length === 0), {
  error: 'nobody looks into a tunnel that passes through, so its methods and path_prefixes must be empty',
}).refine((profile) => profile.raw !== true || profile.passthrough, {
  error: 'raw is a tunnel that passes through, so passthrough must be true too',
});

const everydaySchema = z.strictObject({
  hosts: z.record(z.string(), z.unknown()),
  profiles: z.record(z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'a profile name is lower case letters, digits and _'), profileSchema),
});

/** Mistakes listed before the rest is only counted. */
const listed = 20;

/** What is wrong with `packs/default/data.json`. Hosts are looked up as they are spelt, so another spelling would silently never match. */
export function everydayDataFaults(data: unknown): readonly FieldError[] {
  const result = everydaySchema.safeParse(data);
  if (!result.success) return result.error.issues.slice(0, listed).map(({ path, message }) => ({ path: path.join('.'), message }));
  const { hosts, profiles } = result.data;
  const faults: FieldError[] = [];
  for (const host in hosts) {
    const profile = hosts[host];
    if (!isAllowHost(host)) faults.push({ path: `hosts.${host}`, message: 'must be a host in its canonical form (lower case, no final dot), or *.suffix' });
    else if (typeof profile !== 'string' || !Object.hasOwn(profiles, profile)) faults.push({ path: `hosts.${host}`, message: `must name one of the profiles ${Object.keys(profiles).join(', ')}` });
    if (faults.length >= listed) break;
  }
  return faults;
}
