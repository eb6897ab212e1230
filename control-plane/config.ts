import { join } from 'node:path';
import { z } from 'zod';
import { isKeyName } from '../contracts/signed-note.ts';
import { SallyportError } from '../contracts/errors.ts';

const path = z.string().min(1).max(4096);

/** What the supervisor hands to the control plane by IPC. */
const configurationSchema = z.strictObject({
  data_folder: path,
  /** A Postgres database; without it, PGlite in the data folder. */
  database_url: z.string().regex(/^postgres(?:ql)?:\/\//, 'must begin with postgres://').optional(),
  /** Path of the local API's Unix socket. */
  api_socket: path,
  /** The API over TCP, where every request needs credentials. */
  api_listen: z.strictObject({ host: z.string().min(1).max(255), port: z.int().min(0).max(65_535) }).optional(),
  policies_folder: path,
  data_plane_token: z.string().regex(/^sp_px_[A-Za-z0-9_-]{16,200}$/, 'must be sp_px_ and at least 16 characters'),
  /** Name of the chain in its seals: a schema-less URL. */
  installation_origin: z.string().refine(isKeyName, 'must be a name without white space and +').optional(),
});

export type Configuration = Readonly<z.infer<typeof configurationSchema>>;

/** Of the embedded database. */
export function postgresFolder({ data_folder }: Configuration): string {
  return join(data_folder, 'postgres');
}

/** Throws `configuration` with every mistake. Values are not repeated: some are secrets. */
export function parseConfiguration(value: unknown): Configuration {
  const result = configurationSchema.safeParse(value);
  if (result.success) return Object.freeze(result.data);
  const errors = result.error.issues.map((issue) => ({ path: issue.path.map(String).join('.'), message: issue.message }));
  throw new SallyportError('configuration', `The control plane's configuration has mistakes: ${errors.map(({ path, message }) => `${path} ${message}`).join('; ')}.`, { errors });
}
