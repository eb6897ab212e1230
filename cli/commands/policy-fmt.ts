import type { Command } from 'commander';
import { formatPolicies } from '../../engine/policy-test.ts';
import { example, jsonOption, printJson, printLines } from '../command.ts';
import { mistakeLines, policiesFolderOf, policyCheckExit, withCompiler, type PolicyToolOptions } from '../policy/compiler.ts';

interface Options extends PolicyToolOptions {
  readonly write?: boolean;
}

export function define(command: Command): void {
  jsonOption(command)
    .option('--policies <dir>', 'policy folder (default: the one that comes along)')
    .option('--write', 'mend the files instead of naming them')
    .action(format);
  example(command, 'sallyport policy fmt --write');
}

/** Without `--write` a file that is not formatted is a failure, so that CI can use it. */
async function format(options: Options): Promise<void> {
  const write = options.write ?? false;
  const result = await withCompiler((compiler) => formatPolicies(policiesFolderOf(options), compiler, { write }));
  if (options.json === true) printJson(result);
  else if (result.status === 'mistakes') printLines(mistakeLines(result.errors));
  else if (result.changed.length === 0) printLines(['All files are formatted.']);
  else printLines(result.changed.map((file) => write ? `${file} was formatted` : `${file} is not formatted`));
  if (result.status === 'mistakes' || (!write && result.changed.length > 0)) process.exitCode = policyCheckExit();
}
