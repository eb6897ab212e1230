import type { Command } from 'commander';
import { testPolicies, type TestReport } from '../../engine/policy-test.ts';
import { example, jsonOption, printJson, printLines } from '../command.ts';
import { mistakeLines, policiesFolderOf, policyCheckExit, withCompiler, type PolicyToolOptions } from '../policy/compiler.ts';
import { escapeText, plural } from '../text.ts';

export function define(command: Command): void {
  jsonOption(command).option('--policies <dir>', 'policy folder (default: the one that comes along)').action(test);
  example(command, 'sallyport policy test');
}

async function test(options: PolicyToolOptions): Promise<void> {
  const result = await withCompiler((compiler) => testPolicies(policiesFolderOf(options), compiler));
  if (options.json === true) printJson(result);
  else printLines(result.status === 'mistakes' ? mistakeLines(result.errors) : describe(result));
  if (result.status === 'mistakes' || !result.passed) process.exitCode = policyCheckExit();
}

function describe({ tests, golden, coverage_percent, passed }: TestReport): readonly string[] {
  const bad = tests.filter(({ status }) => status === 'failed' || status === 'errored');
  const skipped = tests.filter(({ status }) => status === 'skipped').length;
  return [
    ...bad.map(({ file, row, name, status, message }) => `${escapeText(file)}:${row}: ${escapeText(name)} ${status}${message === undefined ? '' : `: ${escapeText(message, 500)}`}`),
    ...golden.faults.map((fault) => `golden case ${escapeText(fault, 500)}`),
    ...golden.disagreements.map((fault) => `two engines disagree: ${escapeText(fault, 1000)}`),
    `${plural(tests.length - bad.length - skipped, 'test')} passed, ${bad.length} failed${skipped > 0 ? `, ${skipped} skipped` : ''}; ${plural(golden.cases, 'golden case')} on both engines, ${golden.faults.length + golden.disagreements.length} wrong; coverage ${coverage_percent.toFixed(1)} %`,
    ...(passed || bad.length + golden.faults.length + golden.disagreements.length > 0 ? [] : ['There are no tests.']),
  ];
}
