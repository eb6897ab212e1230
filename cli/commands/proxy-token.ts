import type { Command } from 'commander';
import { SallyportError } from '../../contracts/errors.ts';
import { dataFolderOf, dataOption, example, jsonOption, printJson, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { inspectDataFolder } from '../up/data-folder.ts';
import { readProxyToken } from '../up/proxy-token.ts';

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command)).action((options: TargetOptions) => {
    const folder = dataFolderOf(options, environment);
    const token = inspectDataFolder(folder) ? readProxyToken(folder) : undefined;
    if (token === undefined) throw new SallyportError('control_plane_unreachable', `The data folder ${folder} has no proxy token yet.`, { next_steps: ['The first sallyport up makes it.'] });
    if (options.json === true) printJson({ token });
    else process.stdout.write(`${token}\n`);
  });
  example(command, '(umask 077; sallyport proxy token > proxy.token)');
}
