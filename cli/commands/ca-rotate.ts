import type { Command } from 'commander';
import { rotateAuthorities, viewAuthorities } from '../../proxy/intercept/authority/authorities.ts';
import { longestOverlapMs } from '../../proxy/intercept/authority/rules.ts';
import { parseAmount } from '../budget-option.ts';
import { dataFolderOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { UsageError } from '../failure.ts';
import { prepareDataFolder } from '../up/data-folder.ts';
import { authorityLines, authorityRow } from './ca-show.ts';

interface Options extends TargetOptions {
  readonly overlap: string;
}

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    // For a new one to reach every client that has to be told: the time between two working days.
    .option('--overlap <time>', 'how long the present one goes on signing, so that clients outside of jails can be told of the next', '24h')
    .action((options: Options) => {
      const overlap = overlapOf(options.overlap);
      const folder = dataFolderOf(options, environment);
      prepareDataFolder(folder);
      const now = Date.now();
      rotateAuthorities(folder, now, overlap);
      const all = viewAuthorities(folder, Date.now());
      if (options.json === true) printJson({ authorities: all.map((one) => authorityRow(one)) });
      else printLines([...all.flatMap((one) => authorityLines(one)), '', 'New jails trust all of these. Clients outside of jails need the new file: sallyport ca export.',
        ...overlap === 0 ? ['The new one signs from now on: clients that do not have it yet, and jails that run already, can reach nothing in TLS.'] : []]);
    });
  example(command, 'sallyport ca rotate --overlap 48h', 'sallyport ca rotate --overlap 0');
}

function overlapOf(text: string): number {
  if (text === '0') return 0;
  const parsed = parseAmount(text, 'time');
  if ('mistake' in parsed) throw new UsageError([`--overlap: ${parsed.mistake}.`]);
  if (parsed.value > longestOverlapMs) throw new UsageError([`--overlap: "${text}" is longer than ${longestOverlapMs / 86_400_000} days.`]);
  return parsed.value;
}
