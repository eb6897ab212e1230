import { z } from 'zod';
import { SallyportError } from '../contracts/errors.ts';
import { upstreamProxiesSchema } from '../contracts/upstream-proxies.ts';

const endpoint = z.strictObject({ host: z.string().min(1), port: z.int().min(0).max(65_535) });
/** A listening socket that the supervisor opened and this process inherited: workers share it, and it outlives them. */
const inherited = z.strictObject({ descriptor: z.int().min(3).max(1023) });
const controlPlane = z.union([
  z.strictObject({ socket_path: z.string().startsWith('/') }),
  /** Elsewhere; `ca` is a certificate in PEM to trust instead of the system's. */
  z.strictObject({ url: z.url({ protocol: /^https?$/ }), ca: z.string().min(1).optional() }),
]);

const configurationSchema = z.strictObject({
  data_folder: z.string().startsWith('/'),
  /** Which worker of this machine it is: 0, 1, ... Its journal is its slot's. */
  slot: z.int().min(0).max(999),
  control_plane: controlPlane,
  data_plane_token: z.string().startsWith('sp_px_'),
  /** Where clients bring credentials; without it there are only the runs' own listeners. */
  listen: z.union([endpoint, inherited]).optional(),
  /** Whether jailed runs live on this machine, so that each gets a listener of its own. */
  jails: z.boolean().default(true),
  /** `crash` survives kill -9; `power` syncs the disk before each group's receipts. */
  durability: z.enum(['crash', 'power']).default('crash'),
  /** Where the control plane listens, beside the proxy itself: never let through to. */
  own_addresses: z.array(endpoint).default([]),
  /** Which hosts are reached by an operator's own proxy; the first rule that names a host decides, and what none names is dialled directly. */
  upstream_proxies: upstreamProxiesSchema.default([]),
  /** Authorities in PEM that origins may have their certificates from, beside the system's. */
  upstream_ca: z.string().min(1).optional(),
  /** Journal bytes on disk, shipped and sealed or not, above which nothing new begins. */
  journal_max_bytes: z.int().min(1024 * 1024).default(1024 * 1024 * 1024),
});

export type Configuration = z.infer<typeof configurationSchema>;

export function controlPlaneAddress({ control_plane }: Configuration): { readonly socketPath: string } | { readonly url: URL; readonly ca?: string } {
  if ('socket_path' in control_plane) return { socketPath: control_plane.socket_path };
  return { url: new URL(control_plane.url), ...(control_plane.ca !== undefined && { ca: control_plane.ca }) };
}

/** Throws `configuration` with every mistake. */
export function parseConfiguration(value: unknown): Configuration {
  const parsed = configurationSchema.safeParse(value);
  if (parsed.success) return Object.freeze(parsed.data);
  const errors = parsed.error.issues.map(({ path, message }) => ({ path: path.length === 0 ? 'configuration' : path.join('.'), message }));
  throw new SallyportError('configuration', `The proxy worker's configuration is wrong: ${errors.map(({ path, message }) => `${path}: ${message}`).join('; ')}`, { errors });
}
