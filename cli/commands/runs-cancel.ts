import type { Command } from 'commander';
import type { RunView } from '../../contracts/run-api.ts';
import { apiOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';

interface Options extends TargetOptions {
  readonly reason?: string;
}

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    .argument('<run_id>')
    .option('--reason <text>', 'recorded with the cancel')
    .action(async (runId: string, options: Options) => {
      const body = options.reason === undefined ? {} : { reason: options.reason };
      const run = await apiOf(options, environment).call<RunView>('POST', `/chat/run/${encodeURIComponent(runId)}/cancel`, { body });
      if (options.json === true) printJson(run);
      else printLines([`${run.run_id} ${run.state}`]);
    });
  example(command, 'sallyport runs cancel run_0199c0de-0000-7000-8000-000000000001 --reason "wrong branch"');
}
