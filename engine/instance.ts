import * as opaWasm from '@open-policy-agent/opa-wasm';
import type { LoadedPolicy, loadPolicySync } from '@open-policy-agent/opa-wasm';

/**
 * One WASM instance of a policy: the only place where opa-wasm enters. It loads the module, its data and its imports; evaluation
 * goes straight to the module's `opa_eval` (ABI 1.2), because opa-wasm turns an input that it cannot read into an undefined one
 * without a word, and throws strings.
 */
export interface PolicyInstance {
  /** `json` is one JSON object. Returns the decision document, undefined where the policy gives none; throws whatever the WASM throws. */
  evaluate(json: string): unknown;
}

/** Its types name exports that its ES module has only on the default one. */
const opa = (opaWasm as unknown as { readonly default: { readonly loadPolicySync: typeof loadPolicySync } }).default;

interface OpaExports {
  readonly memory: WebAssembly.Memory;
  readonly opa_wasm_abi_version: { readonly value: number };
  readonly opa_wasm_abi_minor_version: { readonly value: number };
  builtins(): number;
  opa_json_dump(value: number): number;
  opa_eval(reserved: 0, entrypoint: number, data: number, input: number, length: number, heap: number, format: 0): number;
}

const pageBytes = 65_536;
/** 4 MiB at least: five pages, opa-wasm's default, are too few for the strings of a larger policy. */
const initialPages = 64;
/** 256 MiB: 100,000 hosts take about 30. */
const maximumPages = 4096;
/** A decision is about 300 bytes. */
const longestAnswer = 256 * 1024;

function textAt(memory: Buffer, at: number): string {
  const end = memory.indexOf(0, at);
  if (end === -1 || end - at > longestAnswer) throw new Error(`the policy's answer is longer than ${longestAnswer} bytes`);
  return memory.toString('utf8', at, end);
}

/** A module whose strings need more than the initial memory fails to link or to start: it gets twice as much, up to the maximum. */
function load(policy: WebAssembly.Module, pages: number): LoadedPolicy {
  try {
    return opa.loadPolicySync(policy as never, { initial: pages, maximum: maximumPages });
  } catch (error) {
    if (pages * 2 > maximumPages || !(error instanceof WebAssembly.LinkError || error instanceof WebAssembly.RuntimeError)) throw error;
    return load(policy, pages * 2);
  }
}

/** opa-wasm only writes to the console when a module is not a policy. */
function ensurePolicy(policy: WebAssembly.Module): void {
  const names = new Set(WebAssembly.Module.exports(policy).map(({ name }) => name));
  const missing = ['opa_wasm_abi_version', 'opa_wasm_abi_minor_version', 'opa_eval', 'entrypoints', 'builtins'].filter((name) => !names.has(name));
  if (missing.length > 0) throw new Error(`the module is not a policy: it has no ${missing.join(', ')}`);
}

function ensureAbi(exports: OpaExports): void {
  const version = exports.opa_wasm_abi_version?.value;
  const minor = exports.opa_wasm_abi_minor_version?.value;
  if (version !== 1 || !(minor >= 2 && minor <= 3)) throw new Error(`the policy speaks OPA's WASM ABI ${version}.${minor}, known are 1.2 and 1.3`);
}

/** A builtin that the host would have to give fails only when it is called, so it is refused at load. */
function ensureBuiltins(exports: OpaExports): void {
  const wanted = JSON.parse(textAt(Buffer.from(exports.memory.buffer), exports.opa_json_dump(exports.builtins()))) as object;
  const names = Object.keys(wanted);
  if (names.length > 0) throw new Error(`the policy calls ${names.join(', ')}, which this engine does not have`);
}

/** `data` is the JSON text of the base documents. Blocks: about 100 ms for 100,000 hosts. */
export function createInstance(module: WebAssembly.Module, data: string, entrypoint: string): PolicyInstance {
  ensurePolicy(module);
  const policy = load(module, initialPages);
  const exports = (policy.wasmInstance as WebAssembly.Instance).exports as unknown as OpaExports;
  ensureAbi(exports);
  ensureBuiltins(exports);
  const entry: unknown = Object.hasOwn(policy.entrypoints as object, entrypoint) ? policy.entrypoints[entrypoint] : undefined;
  if (typeof entry !== 'number') throw new Error(`the policy has no entrypoint ${entrypoint}`);
  // Bytes are handed over as they are; text that is not JSON throws here. A Uint8Array would be stringified as an object.
  const bytesOfData = new TextEncoder().encode(data);
  policy.setData(bytesOfData.buffer.slice(0, bytesOfData.length));
  const dataAddress = policy.dataAddr;
  const inputAddress: number = policy.dataHeapPtr;
  const { memory } = exports;
  let bytes = Buffer.from(memory.buffer);

  return {
    evaluate(json) {
      // 3 bytes are the most that a UTF-16 unit takes in UTF-8.
      const missing = inputAddress + json.length * 3 - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
      if (bytes.buffer !== memory.buffer) bytes = Buffer.from(memory.buffer);
      const length = bytes.write(json, inputAddress, 'utf8');
      const answer = exports.opa_eval(0, entry, dataAddress, inputAddress, length, inputAddress + length, 0);
      if (bytes.buffer !== memory.buffer) bytes = Buffer.from(memory.buffer);
      const results = JSON.parse(textAt(bytes, answer)) as { readonly result: unknown }[];
      return results[0]?.result;
    },
  };
}
