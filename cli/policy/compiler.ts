import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCompiler, type Compiler } from '../../engine/compiler/compiler.ts';
import type { SourceError } from '../../engine/compiler/protocol.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { escapeText } from '../text.ts';

/** What policies/compiler/build makes. */
export const compilerPath = fileURLToPath(new URL('../../.tools/compiler/compiler.wasm', import.meta.url));

export interface PolicyToolOptions {
  readonly policies?: string;
  readonly json?: boolean;
}

export function policiesFolderOf({ policies }: Pick<PolicyToolOptions, 'policies'>): string {
  return policies === undefined ? fileURLToPath(new URL('../../policies', import.meta.url)) : resolve(policies);
}

export async function withCompiler<T>(work: (compiler: Compiler) => Promise<T>): Promise<T> {
  const compiler = await openCompiler(compilerPath);
  try {
    return await work(compiler);
  } finally {
    await compiler.close();
  }
}

/** `file:row:col: message (code)`, as editors read it. */
export function mistakeLines(errors: readonly SourceError[]): readonly string[] {
  return errors.map(({ file, row, col, code, message }) => `${escapeText(file)}${row > 0 ? `:${row}:${col}` : ''}: ${escapeText(message, 500)} (${code})`);
}

/** What `check`, `build` and `test` end with when the sources are wrong. */
export function policyCheckExit(): number {
  return new SallyportError('policy_check_failed', '').entry.exit;
}
