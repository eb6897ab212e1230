import type { Command } from 'commander';
import type { RunView } from '../../contracts/run-api.ts';
import { apiOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { readActions } from '../report/collect.ts';
import { egressRow, exchangesOf } from '../report/egress.ts';
import { reportLines } from '../report/lines.ts';
import { escapeText, painter } from '../text.ts';

/** The latest actions that are read; more are in the chain. */
const mostActions = 10_000;

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    .argument('<run_id>')
    .action((runId: string, options: TargetOptions) => show(runId, options, environment));
  example(command, 'sallyport runs show run_0199c0de-0000-7000-8000-000000000001');
}

async function show(runId: string, options: TargetOptions, environment: Environment): Promise<void> {
  const api = apiOf(options, environment);
  const id = encodeURIComponent(runId);
  const run = await api.call<RunView>('GET', `/chat/run/${id}`);
  const { actions, truncated } = await readActions(api, id, mostActions);
  const exchanges = exchangesOf(actions);
  if (options.json === true) {
    printJson({ ...run, egress: exchanges.map((exchange) => egressRow(exchange)), egress_truncated: truncated });
    return;
  }
  const paint = painter(process.stdout.isTTY && !environment.noColor);
  printLines([
    ...reportLines({ run, exitCode: run.exit_code, exchanges, truncated, chain: undefined, settled: true, notes: [] }, paint),
    `  goal      ${escapeText(run.goal, 500)}`,
    `  agent     ${escapeText(run.agent)} (${run.assurance}), session ${run.session_id}`,
    `  created   ${new Date(run.created_at).toISOString()}, deadline ${new Date(run.deadline_at).toISOString()}`,
  ]);
}
