import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../contracts/digest.ts';
import { bundleBounds, bundleManifestSchema, revisionOf, type Bundle, type BundleManifest } from './bundle.ts';
import { folderFault, readPolicyFolder, sourcesDigest } from './policy-folder.ts';

export const bundleFiles = { wasm: 'bundle/policy.wasm', manifest: 'bundle/manifest.json' } as const;

async function readManifest(folder: string): Promise<BundleManifest> {
  try {
    return bundleManifestSchema.parse(JSON.parse(await readFile(join(folder, bundleFiles.manifest), 'utf8')));
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw folderFault(folder, missing ? 'it was never built: run sallyport policy build' : `${bundleFiles.manifest} is not a manifest: run sallyport policy build`, undefined, cause);
  }
}

async function readWasm(folder: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const wasm = await readFile(join(folder, bundleFiles.wasm));
    if (wasm.length > bundleBounds.wasm_bytes) throw new RangeError('too large');
    return Uint8Array.from(wasm);
  } catch (cause) {
    throw folderFault(folder, `${bundleFiles.wasm} cannot be read: run sallyport policy build`, undefined, cause);
  }
}

/**
 * What is in force: the built WASM with the packs' present data. Needs no compiler. Throws `policy_folder` when a source changed
 * since the last build, since what is enforced would not be what is written.
 */
export async function loadBundle(folder: string): Promise<Bundle> {
  const { sources, data, golden } = await readPolicyFolder(folder);
  const manifest = await readManifest(folder);
  const wasm = await readWasm(folder);
  if (sha256Hex(wasm) !== manifest.wasm_sha256) throw folderFault(folder, `${bundleFiles.wasm} is not the one that ${bundleFiles.manifest} describes: run sallyport policy build`);
  if (sourcesDigest(sources) !== manifest.sources_sha256) throw folderFault(folder, 'sources changed since the last build: run sallyport policy build');
  return { revision: revisionOf(manifest, wasm, data), manifest, wasm, data, golden };
}
