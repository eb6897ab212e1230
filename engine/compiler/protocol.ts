import type { JsonValue } from '../../contracts/json.ts';

/** One mistake in a source; row and column count from 1, 0 where it has no place. `code` as OPA has it (`rego_type_error`) or `sallyport_*`. */
export interface SourceError {
  readonly file: string;
  readonly row: number;
  readonly col: number;
  readonly code: string;
  readonly message: string;
}

/** What the compiler reads. Paths are below the policies folder, with `/`. */
export interface Sources {
  readonly files: Readonly<Record<string, string>>;
  /** Text of capabilities.json. */
  readonly capabilities: string;
  /** Text of schemas/input.json. */
  readonly inputSchema: string;
}

export interface ModuleFacts {
  readonly file: string;
  readonly package: readonly string[];
  readonly test: boolean;
  readonly rules: readonly string[];
  /** Rule ids spelt as constants in deny, require_approval, allow and obligation. */
  readonly reasons: readonly { readonly set: string; readonly rule: string; readonly row: number }[];
}

export interface TestResult {
  readonly file: string;
  readonly row: number;
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped' | 'errored';
  readonly message?: string;
  readonly duration_ms: number;
}

export interface FileCoverage {
  readonly lines: number;
  readonly covered: number;
  readonly not_covered: readonly (readonly [first: number, last: number])[];
}

/** `input_paths`: what the compiled rules read of the input, `[]` being all of it. */
export interface BuiltModule {
  readonly wasm: Uint8Array<ArrayBuffer>;
  readonly input_paths: readonly (readonly string[])[];
}

/** A request to the WebAssembly module (policies/compiler/main.go). */
export interface CompilerRequest {
  readonly op: 'version' | 'inspect' | 'format' | 'check' | 'build' | 'test' | 'evaluate';
  readonly files?: Readonly<Record<string, string>>;
  readonly data?: JsonValue;
  readonly input_schema?: JsonValue;
  readonly capabilities?: JsonValue;
  readonly entrypoint?: string;
  readonly inputs?: readonly unknown[];
}

/** Its answer: `errors` when the sources are wrong, `fault` when the compiler itself failed. */
export interface CompilerResponse {
  readonly errors: readonly SourceError[];
  readonly fault?: string;
  readonly version?: string;
  readonly modules?: readonly ModuleFacts[];
  readonly formatted?: Readonly<Record<string, string>>;
  /** Base64. */
  readonly wasm?: string;
  readonly input_paths?: readonly (readonly string[])[];
  readonly tests?: readonly TestResult[];
  readonly coverage?: Readonly<Record<string, FileCoverage>>;
  readonly results?: readonly JsonValue[];
}

/** Between the host and its worker thread: JSON texts, answered in order. */
export type WorkerAnswer = { readonly kind: 'ready' } | { readonly kind: 'answer'; readonly text: string } | { readonly kind: 'fault'; readonly message: string };
