import type { Command } from 'commander';
import { buildPolicies } from '../../engine/policy-tool.ts';
import { example, jsonOption, printJson, printLines } from '../command.ts';
import { mistakeLines, policiesFolderOf, policyCheckExit, withCompiler, type PolicyToolOptions } from '../policy/compiler.ts';
import { verifyBundle } from '../policy/verify-bundle.ts';

interface Options extends PolicyToolOptions {
  readonly verify?: boolean;
}

export function define(command: Command): void {
  jsonOption(command)
    .option('--policies <dir>', 'policy folder (default: the one that comes along)')
    .option('--verify', 'write nothing; fail unless the bundle on disk is what the sources give, byte for byte')
    .action((options: Options) => options.verify === true ? verify(options) : build(options));
  example(command, 'sallyport policy build --policies ./policies');
}

async function build(options: Options): Promise<void> {
  const result = await withCompiler((compiler) => buildPolicies(policiesFolderOf(options), compiler));
  if (result.status === 'mistakes') return tellMistakes(result, options);
  const { bundle: { revision }, changed } = result;
  if (options.json === true) printJson({ status: 'ok', revision, changed });
  else printLines([`Revision ${revision}${changed ? '' : ' (as before)'}.`]);
}

async function verify(options: Options): Promise<void> {
  const result = await withCompiler((compiler) => verifyBundle(policiesFolderOf(options), compiler));
  if (result.status === 'mistakes') return tellMistakes(result, options);
  if (options.json === true) printJson(result);
  else if (result.different.length === 0) printLines([`The bundle is what the sources give: revision ${result.revision}.`]);
  else printLines([...result.different.map((file) => `${file} is not what the sources give`), 'Run sallyport policy build.']);
  if (result.different.length > 0) process.exitCode = policyCheckExit();
}

function tellMistakes(result: { readonly status: 'mistakes'; readonly errors: Parameters<typeof mistakeLines>[0] }, options: Options): void {
  if (options.json === true) printJson(result);
  else printLines(mistakeLines(result.errors));
  process.exitCode = policyCheckExit();
}
