import type { Command } from 'commander';
import { dataFolderOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { UsageError } from '../failure.ts';
import { replaceWorkers } from '../up/link-client.ts';

interface Options extends TargetOptions {
  readonly drain: string;
}

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    .option('--drain <seconds>', 'what each worker has under way gets so long, tunnels included', '5')
    .action(async (options: Options) => {
      if (!/^[0-9]{1,4}$/.test(options.drain) || Number(options.drain) > 3600) throw new UsageError([`--drain: "${options.drain}" is not a number of seconds from 0 to 3600.`]);
      const folder = dataFolderOf(options, environment);
      const workers = await replaceWorkers(folder, Number(options.drain) * 1000);
      if (workers === undefined) throw new SallyportError('control_plane_unreachable', `Nothing runs on ${folder}.`);
      if (options.json === true) printJson({ workers });
      else printLines([workers === 1 ? 'The proxy worker was replaced.' : `All ${workers} proxy workers were replaced.`]);
    });
  example(command, 'sallyport restart --drain 30');
}
