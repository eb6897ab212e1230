import type { Command } from 'commander';
import { resolve } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';
import { dataFolderOf, dataOption, example, jsonOption, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { UsageError } from '../failure.ts';
import { policyFlags, policyOf } from '../policy-flags.ts';
import type { PolicyFlags } from '../policy-options.ts';
import { reportLines } from '../report/lines.ts';
import { jailNotes } from '../report/notes.ts';
import { reportDocument, type RunReport } from '../report/report.ts';
import { executeRun, type FinishedRun } from '../run/execute.ts';
import { noLine, terminalLine } from '../run/live-line.ts';
import { openReportFile } from '../run/report-file.ts';
import { painter, terminalJson } from '../text.ts';

interface Options extends TargetOptions, PolicyFlags {
  readonly work: string;
  readonly giveWork?: boolean;
  readonly report?: string;
  readonly name?: string;
  readonly env?: readonly string[];
}

export function define(command: Command, environment: Environment): void {
  policyFlags(dataOption(jsonOption(command)))
    .argument('<command...>', 'the agent and its arguments, after --')
    .option('--work <dir>', 'the folder that the agent shares with this machine', '.')
    .option('--give-work', 'as root: hand the work folder to the uid that the agent runs as')
    .option('--report <file>', 'write the report as JSON to a file, or - for standard error')
    .option('--name <text>', 'what the run is for (default: the command)')
    .option('--env <name[=value]>', 'a variable for the agent; without a value, the one of this shell', (value: string, before: readonly string[] | undefined) => [...(before ?? []), value])
    .passThroughOptions()
    .action((argv: readonly string[], options: Options) => run(argv, options, environment));
  example(command, 'sallyport run --allow example.org:GET --budget requests=20 -- curl -s https://example.org/')
    .addHelpText('after', '\nExit code: the agent\'s own; 77 when the run was cancelled or ran into a limit.');
}

async function run(argv: readonly string[], options: Options, environment: Environment): Promise<void> {
  const { policy, budget } = policyOf(options, 'jail');
  const agentEnvironment = readAgentEnvironment(options.env ?? [], environment);
  if (environment.remote !== undefined && options.data === undefined) {
    throw new SallyportError('not_supported', 'A jail needs an up on this machine, and SALLYPORT_URL names another one.', { next_steps: ['Unset SALLYPORT_URL, or give --data.'] });
  }
  const file = options.report === undefined || options.report === '-' ? undefined : openReportFile(options.report);
  const dataFolder = dataFolderOf(options, environment);
  const finished = await executeRun({
    dataFolder, policy, budget,
    goal: options.name ?? argv.join(' ').slice(0, 500).toWellFormed(),
    jail: { argv: [...argv], env: agentEnvironment, work: resolve(options.work), give_work: options.giveWork ?? false, keep_out: [dataFolder] },
  }, environment, process.stderr.isTTY && !environment.noColor ? terminalLine(process.stderr) : noLine);

  const report = reportOf(finished);
  const json = `${terminalJson(reportDocument(report))}\n`;
  if (options.json === true || options.report === '-') process.stderr.write(json);
  else process.stderr.write(`${reportLines(report, painter(process.stderr.isTTY && !environment.noColor)).join('\n')}\n`);
  process.exitCode = finished.exitCode;
  file?.write(json);
  file?.close();
}

function reportOf({ collected, exitCode, end, warnings }: FinishedRun): RunReport {
  return { ...collected, exitCode, notes: [...warnings, ...jailNotes(end)] };
}

/** `NAME=VALUE` as it is; `NAME` alone takes this shell's value. */
function readAgentEnvironment(texts: readonly string[], environment: Environment): Record<string, string> {
  const sentences: string[] = [];
  const values: Record<string, string> = {};
  for (const text of texts) {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    const value = equals < 0 ? environment.variable(name) : text.slice(equals + 1);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) sentences.push(`--env: "${name}" is not a variable's name.`);
    else if (value === undefined) sentences.push(`--env ${name}: there is no such variable here; write ${name}=VALUE.`);
    else if (Object.hasOwn(values, name)) sentences.push(`--env ${name} is given twice.`);
    else values[name] = value;
  }
  if (sentences.length > 0) throw new UsageError(sentences);
  return values;
}
