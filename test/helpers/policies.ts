import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildPolicyInput, type PolicyInput, type PolicyInputParts } from '../../contracts/policy-input.ts';
import { runPolicySchema } from '../../contracts/run-policy.ts';
import { openCompiler, type Compiler } from '../../engine/compiler/compiler.ts';
import type { Lifetime } from './lifetime.ts';
import { temporaryFolder } from './temporary.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const policiesFolder = join(root, 'policies');
export const compilerModule = join(root, '.tools/compiler/compiler.wasm');

/** The compiler that `npm test` has built; a thread that ends with `lifetime`. */
export async function testCompiler(lifetime: Lifetime): Promise<Compiler> {
  const compiler = await openCompiler(compilerModule);
  lifetime.teardown(() => compiler.close());
  return compiler;
}

/** A copy of the project's policies with some files replaced or added. */
export async function policiesWith(lifetime: Lifetime, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(await temporaryFolder(lifetime), 'policies');
  await cp(policiesFolder, folder, { recursive: true, filter: (path) => !path.startsWith(join(policiesFolder, 'compiler')) });
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** A GET of http://site.example/ by a run that may do nothing, or what the arguments say. */
export function policyInput(parts: Partial<PolicyInputParts> = {}, policy: Readonly<Record<string, unknown>> = {}): PolicyInput {
  return buildPolicyInput({
    act: 'request',
    run: { id: 'run_1', session_id: 'ses_1', agent: 'agent', state: 'Active', labels: {}, taint: null, policy: runPolicySchema.parse(policy) },
    destination: { host: 'site.example', is_ip_literal: false, port: 80, scheme: 'http' },
    request: { method: 'GET', path: '/' },
    now_ms: 1_767_225_600_000,
    ...parts,
  });
}
