import { z } from 'zod';
import { sha256Hex } from '../contracts/digest.ts';
import { SallyportError } from '../contracts/errors.ts';
import { goldenSuiteSchema, type GoldenSuite } from './golden.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** What a build says of itself; `policies/bundle/manifest.json`. */
export const bundleManifestSchema = z.strictObject({
  v: z.literal(1),
  entrypoint: z.string(),
  /** The compiler that made it, as `opa 1.22.2`. */
  compiler: z.string(),
  /** Of policy.wasm. */
  wasm_sha256: digest,
  /** Of capabilities.json. */
  capabilities_sha256: digest,
  /** Of the Rego sources without their tests, and capabilities.json (`sourcesDigest`). */
  sources_sha256: digest,
  /** Builtins that the host has to give: none. */
  builtins: z.array(z.string()).max(0),
  /** What the policy reads of its input; `[]` alone is all of it. */
  input_paths: z.array(z.array(z.string())).min(1),
  packs: z.array(z.strictObject({ name: z.string(), title: z.string(), always_on: z.boolean() })),
});
export type BundleManifest = z.infer<typeof bundleManifestSchema>;

/** A compiled policy with its data, ready for an `Engine`. */
export interface Bundle {
  /** SHA-256 over what decides: see `revisionOf`. */
  readonly revision: string;
  readonly manifest: BundleManifest;
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** JSON text of the base documents, `{"packs": {<pack>: <its data.json>}}`. */
  readonly data: string;
  readonly golden: GoldenSuite;
}

/** Bounds of what is loaded from a folder or received. */
export const bundleBounds = { wasm_bytes: 16 * 1024 * 1024, data_bytes: 32 * 1024 * 1024, packed_bytes: 64 * 1024 * 1024 } as const;

/** The revision: SHA-256 (hex) over the list of everything that a decision is a function of, one name and digest per line. */
export function revisionOf(manifest: BundleManifest, wasm: Uint8Array, data: string): string {
  return sha256Hex([
    'sallyport bundle v1',
    `policy.wasm ${sha256Hex(wasm)}`,
    `data ${sha256Hex(data)}`,
    `capabilities ${manifest.capabilities_sha256}`,
    `compiler ${manifest.compiler}`,
    `entrypoint ${manifest.entrypoint}`,
    `input_paths ${JSON.stringify(manifest.input_paths)}`,
    '',
  ].join('\n'));
}

const packedSchema = z.strictObject({
  v: z.literal(1),
  revision: digest,
  manifest: bundleManifestSchema,
  wasm: z.base64().max(bundleBounds.wasm_bytes * 2),
  data: z.string().max(bundleBounds.data_bytes),
  golden: goldenSuiteSchema,
});

/** One JSON document, for `GET /data-plane/bundles/:revision`. */
export function packBundle(bundle: Bundle): string {
  const { revision, manifest, data, golden } = bundle;
  return JSON.stringify({ v: 1, revision, manifest, wasm: Buffer.from(bundle.wasm).toString('base64'), data, golden });
}

/** The inverse of `packBundle`. Throws `policy_folder` when it is not a bundle or not of the revision that it claims. */
export function bundleFromBytes(bytes: Uint8Array): Bundle {
  if (bytes.length > bundleBounds.packed_bytes) throw unusable(`it is larger than ${bundleBounds.packed_bytes} bytes`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw unusable('it is not JSON', cause);
  }
  const result = packedSchema.safeParse(parsed);
  if (!result.success) throw unusable(z.prettifyError(result.error));
  const { revision, manifest, data, golden } = result.data;
  const wasm = Uint8Array.from(Buffer.from(result.data.wasm, 'base64'));
  const actual = revisionOf(manifest, wasm, data);
  if (actual !== revision) throw unusable(`it claims revision ${revision}, but its content is revision ${actual}`);
  return { revision, manifest, wasm, data, golden };
}

function unusable(why: string, cause?: unknown): SallyportError {
  return new SallyportError('policy_folder', `The policy bundle cannot be used: ${why}.`, { cause });
}
