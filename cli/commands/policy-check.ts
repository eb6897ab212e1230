import type { Command } from 'commander';
import { checkPolicies } from '../../engine/policy-tool.ts';
import { example, jsonOption, printJson, printLines } from '../command.ts';
import { mistakeLines, policiesFolderOf, policyCheckExit, withCompiler, type PolicyToolOptions } from '../policy/compiler.ts';
import { plural } from '../text.ts';

export function define(command: Command): void {
  jsonOption(command).option('--policies <dir>', 'policy folder (default: the one that comes along)').action(check);
  example(command, 'sallyport policy check --policies ./policies');
}

async function check(options: PolicyToolOptions): Promise<void> {
  const result = await withCompiler((compiler) => checkPolicies(policiesFolderOf(options), compiler));
  if (options.json === true) printJson(result);
  else printLines(result.status === 'ok' ? [`${plural(result.files, 'file')} checked, no mistakes.`] : mistakeLines(result.errors));
  if (result.status !== 'ok') process.exitCode = policyCheckExit();
}
