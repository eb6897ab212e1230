import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { z } from 'zod';
import { sha256Hex } from '../contracts/digest.ts';
import { SallyportError, type FieldError } from '../contracts/errors.ts';
import { bundleBounds } from './bundle.ts';
import type { Sources } from './compiler/protocol.ts';
import { everydayDataFaults } from './everyday-data.ts';
import { goldenCaseSchema, goldenSuiteSchema, type GoldenCase, type GoldenSuite } from './golden.ts';

const packSchema = z.strictObject({
  title: z.string().min(1).max(200),
  /** Applies to every run; otherwise to those that list it. */
  always_on: z.boolean().default(false),
  /** JSON Schema of the pack's parameters. */
  parameters: z.record(z.string(), z.json()).default({}),
  /** Every rule id that the pack may give, and what it does. */
  rules: z.record(z.string(), z.strictObject({ effect: z.enum(['allow', 'deny', 'require_approval']), title: z.string().min(1) })),
});

export interface Pack extends z.infer<typeof packSchema> {
  readonly name: string;
}

/** A policies folder as it is on disk. */
export interface PolicyFolder {
  readonly folder: string;
  readonly sources: Sources;
  /** By name. */
  readonly packs: readonly Pack[];
  /** JSON text of the base documents. */
  readonly data: string;
  readonly golden: GoldenSuite;
}

const bounds = { files: 1000, file_bytes: 1024 * 1024 } as const;

/** File of the generated aggregator. */
export const aggregatorFile = 'sallyport/packs.rego';

/** `sources_sha256` of a manifest: everything that the compiled module is made of, so not the tests. */
export function sourcesDigest(sources: Sources): string {
  const names = Object.keys(sources.files).filter((name) => !name.endsWith('_test.rego')).sort();
  const lines = names.map((name) => `${name} ${sha256Hex(sources.files[name]!)}`);
  return sha256Hex(['sallyport policy sources v1', ...lines, `capabilities.json ${sha256Hex(sources.capabilities)}`, ''].join('\n'));
}

export function folderFault(folder: string, detail: string, errors?: readonly FieldError[], cause?: unknown): SallyportError {
  return new SallyportError('policy_folder', `The policy folder ${folder} cannot be used: ${detail}.`, { ...(errors !== undefined && { errors }), cause });
}

async function text(folder: string, name: string, largest: number): Promise<string> {
  const path = join(folder, name);
  try {
    if ((await stat(path)).size > largest) throw new RangeError(`${name} is larger than ${largest} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? `${name} is missing` : cause instanceof RangeError ? cause.message : `${name} cannot be read (${code ?? 'it is not UTF-8'})`;
    throw folderFault(folder, why, undefined, cause);
  }
}

function parse(folder: string, name: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw folderFault(folder, `${name} is not JSON (${(cause as Error).message})`, undefined, cause);
  }
}

function checked<T>(folder: string, name: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.map(({ path, message }) => ({ path: [name, ...path].join('.'), message }));
  throw folderFault(folder, `${name}: ${errors[0]!.path}: ${errors[0]!.message}`, errors);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}

async function regoFiles(folder: string): Promise<Readonly<Record<string, string>>> {
  const files: Record<string, string> = {};
  for (const part of ['lib', 'packs', 'sallyport']) {
    if (!(await exists(join(folder, part)))) throw folderFault(folder, `${part}/ is missing`);
    for (const entry of await readdir(join(folder, part), { recursive: true, withFileTypes: true })) {
      if (!entry.name.endsWith('.rego')) continue;
      const name = relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/');
      if (!entry.isFile()) throw folderFault(folder, `${name} is not a plain file`);
      files[name] = await text(folder, name, bounds.file_bytes);
      if (Object.keys(files).length > bounds.files) throw folderFault(folder, `it has more than ${bounds.files} Rego files`);
    }
  }
  return files;
}

async function readPacks(folder: string): Promise<{ readonly packs: readonly Pack[]; readonly data: string }> {
  const entries = await readdir(join(folder, 'packs'), { withFileTypes: true });
  const packs: Pack[] = [];
  const data: Record<string, unknown> = {};
  for (const name of entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort()) {
    const description = `packs/${name}/pack.json`;
    packs.push({ name, ...checked(folder, description, packSchema, parse(folder, description, await text(folder, description, bounds.file_bytes))) });
    const dataFile = `packs/${name}/data.json`;
    if (!(await exists(join(folder, dataFile)))) continue;
    const value = parse(folder, dataFile, await text(folder, dataFile, bundleBounds.data_bytes));
    const faults = name === 'default' ? everydayDataFaults(value) : [];
    if (faults.length > 0) throw folderFault(folder, `${dataFile}: ${faults[0]!.path}: ${faults[0]!.message}`, faults);
    data[name] = value;
  }
  return { packs, data: JSON.stringify({ packs: data }) };
}

async function readGolden(folder: string): Promise<GoldenSuite> {
  if (!(await exists(join(folder, 'golden')))) throw folderFault(folder, 'golden/ is missing');
  const read = async (name: string): Promise<unknown> => parse(folder, name, await text(folder, name, bounds.file_bytes));
  const cases: GoldenCase[] = [];
  for (const file of (await readdir(join(folder, 'golden'))).filter((name) => name.endsWith('.jsonl')).sort()) {
    const lines = (await text(folder, `golden/${file}`, bounds.file_bytes)).split('\n');
    for (const [i, line] of lines.entries()) {
      const name = `golden/${file}:${i + 1}`;
      if (line.trim() !== '') cases.push(checked(folder, name, goldenCaseSchema, parse(folder, name, line)));
    }
  }
  return checked(folder, 'golden', goldenSuiteSchema, { base: await read('golden/base-input.json'), data: await read('golden/data.json'), cases });
}

/** Throws `policy_folder`, with the place of each mistake, when it is not a policies folder. */
export async function readPolicyFolder(folder: string): Promise<PolicyFolder> {
  if (!(await exists(folder))) throw new SallyportError('policy_folder', `The policy folder ${folder} cannot be used: it does not exist.`, { next_steps: ['Name an existing folder with --policies.'] });
  const sources: Sources = {
    files: await regoFiles(folder),
    capabilities: await text(folder, 'capabilities.json', bounds.file_bytes),
    inputSchema: await text(folder, 'schemas/input.json', bounds.file_bytes),
  };
  for (const name of ['capabilities', 'inputSchema'] as const) parse(folder, name, sources[name]);
  return { folder, sources, ...(await readPacks(folder)), golden: await readGolden(folder) };
}
