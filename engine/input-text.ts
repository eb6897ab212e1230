import { SallyportError } from '../contracts/errors.ts';
import type { PolicyInput } from '../contracts/policy-input.ts';

/** UTF-8 bytes of the input as it reaches the WASM, and its nesting. The builder's bounds keep far below both. */
export const inputBounds = { bytes: 65_536, depth: 16 } as const;

/** What to keep of an object: everything (true), or these keys of it. */
type Shape = true | ReadonlyMap<string, Shape>;

function shapeOf(paths: readonly (readonly string[])[]): Shape {
  if (paths.some((path) => path.length === 0)) return true;
  const byKey = new Map<string, string[][]>();
  for (const [key, ...rest] of paths) byKey.set(key!, [...(byKey.get(key!) ?? []), rest]);
  return new Map([...byKey].map(([key, rests]) => [key, shapeOf(rests)]));
}

function pick(value: unknown, shape: Shape): unknown {
  if (shape === true || typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const kept: Record<string, unknown> = {};
  for (const [key, inner] of shape) {
    const child = (value as Record<string, unknown>)[key];
    if (child !== undefined) kept[key] = inner === true ? child : pick(child, inner);
  }
  return kept;
}

function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key.toWellFormed(), wellFormed(child)]));
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) if (isDeeperThan((value as Record<string, unknown>)[key], levels - 1)) return true;
  return false;
}

/**
 * Makes the function that writes an input as the JSON that the WASM reads: only the paths that the policy reads (a decision is a
 * function of those, so leaving out the rest changes nothing but the time: a third of it), every string well-formed (a lone
 * surrogate aborts the evaluation), bounded in bytes and depth. Throws `engine_error` for what exceeds a bound.
 */
export function inputWriter(paths: readonly (readonly string[])[]): (input: PolicyInput) => string {
  const shape = shapeOf(paths);
  const readsParams = shape === true || shape.has('run');
  return (input) => {
    // The one place where a run may have nested values of its own.
    if (readsParams && isDeeperThan(input.run.params, inputBounds.depth)) throw tooLarge(`nested deeper than ${inputBounds.depth}`);
    const kept = pick(input, shape);
    let text = JSON.stringify(kept);
    // A lone surrogate is written as an escape, and nothing well-formed is (a literal backslash only costs the second look).
    if (text.includes('\\ud')) text = JSON.stringify(wellFormed(kept));
    if (text.length * 3 > inputBounds.bytes && Buffer.byteLength(text) > inputBounds.bytes) throw tooLarge(`larger than ${inputBounds.bytes} bytes`);
    return text;
  };
}

function tooLarge(how: string): SallyportError {
  return new SallyportError('engine_error', `The policy input is ${how}, so it was not evaluated.`);
}
