import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Compiler } from '../../engine/compiler/compiler.ts';
import { bundleFiles } from '../../engine/load-bundle.ts';
import { readPolicyFolder } from '../../engine/policy-folder.ts';
import { aggregate, compile, type Mistakes } from '../../engine/policy-tool.ts';

export interface BundleComparison {
  readonly status: 'ok';
  readonly revision: string;
  /** Files that are not, byte for byte, what the sources give. */
  readonly different: readonly string[];
}

/** Compiles and compares with what is on disk; writes nothing. */
export async function verifyBundle(folder: string, compiler: Compiler): Promise<Mistakes | BundleComparison> {
  const read = await readPolicyFolder(folder);
  const whole = await aggregate(read, compiler);
  if (whole.status === 'mistakes') return whole;
  const compiled = await compile(read, whole.sources, compiler);
  if (compiled.status === 'mistakes') return compiled;
  const { wasm, manifest, revision } = compiled.bundle;
  const same = async (path: string, wanted: Uint8Array): Promise<boolean> => {
    const present = await readFile(join(folder, path)).catch(() => undefined);
    return present !== undefined && Buffer.compare(present, wanted) === 0;
  };
  const different = [
    ...(whole.stale ? ['the generated aggregator'] : []),
    ...(await same(bundleFiles.wasm, wasm) ? [] : [bundleFiles.wasm]),
    ...(await same(bundleFiles.manifest, Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`)) ? [] : [bundleFiles.manifest]),
  ];
  return { status: 'ok', revision, different };
}
