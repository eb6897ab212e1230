import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson } from '../contracts/canonical-json.ts';
import { decisionFault, type Decision } from '../contracts/decision.ts';
import type { JsonValue } from '../contracts/json.ts';
import type { Compiler } from './compiler/compiler.ts';
import type { FileCoverage, TestResult } from './compiler/protocol.ts';
import { inOrder } from './decision-order.ts';
import { Engine } from './engine.ts';
import { goldenFault, goldenInputs } from './golden.ts';
import { readPolicyFolder } from './policy-folder.ts';
import { aggregate, compile, mistakes, type Mistakes } from './policy-tool.ts';

export interface TestReport {
  readonly status: 'ok';
  /** Nothing failed, nothing errored, every golden case answers as written, both evaluators agree. */
  readonly passed: boolean;
  readonly tests: readonly TestResult[];
  /** By file, tests left out. */
  readonly coverage: Readonly<Record<string, FileCoverage>>;
  /** Of all lines that could be covered, 0 to 100. */
  readonly coverage_percent: number;
  readonly golden: {
    readonly cases: number;
    /** Cases that the WASM answers otherwise than written. */
    readonly faults: readonly string[];
    /** Cases on which the WASM and OPA's own evaluator differ. */
    readonly disagreements: readonly string[];
  };
}

/** Runs the Rego tests on OPA's own evaluator, and every golden case on the WASM and on it. */
export async function testPolicies(folder: string, compiler: Compiler): Promise<Mistakes | TestReport> {
  const read = await readPolicyFolder(folder);
  const whole = await aggregate(read, compiler);
  if (whole.status === 'mistakes') return whole;
  const compiled = await compile(read, whole.sources, compiler);
  if (compiled.status === 'mistakes') return compiled;
  const ran = await compiler.test(whole.sources, JSON.parse(read.data) as JsonValue);
  if (ran.status === 'rejected') return mistakes(ran.errors);

  const { golden, manifest, wasm } = compiled.bundle;
  const inputs = goldenInputs(golden);
  const second = await compiler.evaluate(whole.sources, manifest.entrypoint, golden.data, inputs);
  if (second.status === 'rejected') return mistakes(second.errors);
  const engine = new Engine({ ...compiled.bundle, data: JSON.stringify(golden.data) }, await WebAssembly.compile(wasm), {});
  const faults: string[] = [];
  const disagreements: string[] = [];
  for (const [i, written] of golden.cases.entries()) {
    const decision = engine.decide(inputs[i]!);
    const fault = goldenFault(written, decision);
    if (fault !== undefined) faults.push(fault);
    const other = second.results[i] ?? null;
    if (decisionFault(other) !== undefined || text(inOrder(other as unknown as Decision)) !== text(decision)) {
      disagreements.push(`"${written.name}": the WASM says ${text(decision)}, OPA's evaluator ${JSON.stringify(other)}`);
    }
  }

  const lines = Object.values(ran.coverage);
  const total = lines.reduce((sum, file) => sum + file.lines, 0);
  const covered = lines.reduce((sum, file) => sum + file.covered, 0);
  return {
    status: 'ok',
    passed: faults.length === 0 && disagreements.length === 0 && ran.tests.length > 0
      && ran.tests.every((result) => result.status === 'passed' || result.status === 'skipped'),
    tests: ran.tests,
    coverage: ran.coverage,
    coverage_percent: total === 0 ? 100 : (covered * 100) / total,
    golden: { cases: golden.cases.length, faults, disagreements },
  };
}

const text = (decision: Decision): string => canonicalJson(decision as unknown as JsonValue);

/** The files whose form is not `opa fmt`'s; with `write` they are mended. The aggregator is the generator's. */
export async function formatPolicies(folder: string, compiler: Compiler, options: { readonly write: boolean }): Promise<Mistakes | { readonly status: 'ok'; readonly changed: readonly string[] }> {
  const { files } = (await readPolicyFolder(folder)).sources;
  const result = await compiler.format(files);
  if (result.status === 'rejected') return mistakes(result.errors);
  const changed = Object.keys(files).filter((name) => result.files[name] !== files[name]).sort();
  if (options.write) for (const name of changed) await writeFile(join(folder, name), result.files[name]!);
  return { status: 'ok', changed };
}
