import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../contracts/digest.ts';
import { generateAggregator } from './aggregator.ts';
import { revisionOf, type Bundle, type BundleManifest } from './bundle.ts';
import type { Compiler } from './compiler/compiler.ts';
import type { SourceError, Sources } from './compiler/protocol.ts';
import { openEngine } from './engine.ts';
import { bundleFiles } from './load-bundle.ts';
import { aggregatorFile, readPolicyFolder, sourcesDigest, type PolicyFolder } from './policy-folder.ts';
import { catalogueFaults } from './rule-catalogue.ts';

const entrypoint = 'sallyport/decision';

export interface Mistakes {
  readonly status: 'mistakes';
  readonly errors: readonly SourceError[];
}

export const mistakes = (errors: readonly SourceError[]): Mistakes => ({ status: 'mistakes', errors });
const mistake = (file: string, code: string, message: string): SourceError => ({ file, row: 0, col: 0, code, message });

/** A folder's sources with the aggregator that belongs to them, which may differ from the file on disk. */
export async function aggregate(read: PolicyFolder, compiler: Compiler): Promise<Mistakes | { readonly status: 'ok'; readonly sources: Sources; readonly stale: boolean }> {
  const { [aggregatorFile]: present, ...files } = read.sources.files;
  const inspected = await compiler.inspect({ ...read.sources, files });
  if (inspected.status === 'rejected') return mistakes(inspected.errors);
  const strangers = read.packs.filter((pack) => !/^[a-z][a-z0-9_]{0,39}$/.test(pack.name) || pack.name.endsWith('_test'));
  if (strangers.length > 0) return mistakes(strangers.map((pack) => mistake(`packs/${pack.name}`, 'sallyport_package_law', 'the name of a pack is lower case letters, digits and _, and does not end in _test')));
  const faults = catalogueFaults(read.packs, inspected.modules);
  if (faults.length > 0) return mistakes(faults);
  const generated = generateAggregator(read.packs, inspected.modules);
  return { status: 'ok', sources: { ...read.sources, files: { ...files, [aggregatorFile]: generated } }, stale: generated !== present };
}

/** Strict check: syntax, types against the input schema, capabilities, package law, rule ids, and whether the aggregator is current. */
export async function checkPolicies(folder: string, compiler: Compiler): Promise<Mistakes | { readonly status: 'ok'; readonly files: number }> {
  const read = await readPolicyFolder(folder);
  const whole = await aggregate(read, compiler);
  if (whole.status === 'mistakes') return whole;
  const result = await compiler.check(whole.sources);
  if (result.status === 'rejected') return mistakes(result.errors);
  if (whole.stale) return mistakes([mistake(aggregatorFile, 'sallyport_aggregator', 'is not what the packs need: run sallyport policy build')]);
  return { status: 'ok', files: Object.keys(whole.sources.files).length };
}

export async function compile(read: PolicyFolder, sources: Sources, compiler: Compiler): Promise<Mistakes | { readonly status: 'ok'; readonly bundle: Bundle }> {
  const built = await compiler.build(sources, entrypoint);
  if (built.status === 'rejected') return mistakes(built.errors);
  const manifest: BundleManifest = {
    v: 1,
    entrypoint,
    compiler: `opa ${await compiler.version()}`,
    wasm_sha256: sha256Hex(built.wasm),
    capabilities_sha256: sha256Hex(sources.capabilities),
    sources_sha256: sourcesDigest(sources),
    builtins: [],
    input_paths: built.input_paths.map((path) => [...path]),
    packs: read.packs.map(({ name, title, always_on }) => ({ name, title, always_on })),
  };
  const { wasm } = built;
  return { status: 'ok', bundle: { revision: revisionOf(manifest, wasm, read.data), manifest, wasm, data: read.data, golden: read.golden } };
}

async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  await writeFile(partial, content);
  await rename(partial, path);
}

/**
 * Sources to bundle: generates the aggregator, checks, compiles, holds the result against the golden cases, and only then writes
 * `bundle/` (and the aggregator). The same sources give the same bytes. Throws `policy_folder` when a golden case answers otherwise.
 */
export async function buildPolicies(folder: string, compiler: Compiler): Promise<Mistakes | { readonly status: 'ok'; readonly bundle: Bundle; readonly changed: boolean }> {
  const read = await readPolicyFolder(folder);
  const whole = await aggregate(read, compiler);
  if (whole.status === 'mistakes') return whole;
  const compiled = await compile(read, whole.sources, compiler);
  if (compiled.status === 'mistakes') return compiled;
  const { bundle } = compiled;
  await openEngine(bundle);
  const manifest = `${JSON.stringify(bundle.manifest, undefined, 2)}\n`;
  if (whole.stale) await replaceFile(join(folder, aggregatorFile), whole.sources.files[aggregatorFile]!);
  await mkdir(join(folder, 'bundle'), { recursive: true });
  const before = await readFile(join(folder, bundleFiles.manifest), 'utf8').catch(() => '');
  await replaceFile(join(folder, bundleFiles.wasm), bundle.wasm);
  await replaceFile(join(folder, bundleFiles.manifest), manifest);
  return { status: 'ok', bundle, changed: whole.stale || before !== manifest };
}
