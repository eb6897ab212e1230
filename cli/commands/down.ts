import type { Command } from 'commander';
import { dataFolderOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { stopAndWait } from '../up/link-client.ts';

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command)).action(async (options: TargetOptions) => {
    const folder = dataFolderOf(options, environment);
    const stopped = await stopAndWait(folder);
    if (options.json === true) printJson({ stopped: stopped !== undefined, pid: stopped?.pid ?? null });
    // Nothing to do is not a failure: what was wanted is so.
    else printLines([stopped === undefined ? `Nothing runs on ${folder}.` : `Sallyport (process ${stopped.pid}) has ended.`]);
  });
  example(command, 'sallyport down');
}
