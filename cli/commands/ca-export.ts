import type { Command } from 'commander';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { SallyportError } from '../../contracts/errors.ts';
import { readTrusted } from '../../proxy/intercept/authority/authorities.ts';
import { dataFolderOf, dataOption, example, jsonOption, printJson, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { escapeText } from '../text.ts';
import { prepareDataFolder } from '../up/data-folder.ts';

interface Options extends TargetOptions {
  readonly out?: string;
}

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    .option('--out <file>', 'where to write it (default: standard output)')
    .action((options: Options) => {
      const folder = dataFolderOf(options, environment);
      // An operator may have clients trust it before anything was ever started.
      prepareDataFolder(folder);
      const pem = readTrusted(folder);
      const { out } = options;
      if (out !== undefined && out !== '-') writeWhole(out, pem);
      if (options.json === true) printJson({ certificates: pem.match(/-----BEGIN CERTIFICATE-----/g)?.length ?? 0, ...(out === undefined || out === '-' ? { pem } : { out }) });
      else if (out === undefined || out === '-') process.stdout.write(pem);
    });
  example(command, 'sallyport ca export --out sallyport-ca.pem');
}

/** Whole or not at all: a client with half a file trusts nobody. Readable by all, since it holds nothing secret. */
function writeWhole(out: string, text: string): void {
  const unfinished = `${out}.${process.pid}.unfinished`;
  try {
    const descriptor = openSync(unfinished, 'wx', 0o644);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(unfinished, out);
  } catch (error) {
    rmSync(unfinished, { force: true });
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw new SallyportError('disk_full', `There is no space left for ${escapeText(out)}.`, { cause: error });
    throw new SallyportError('usage', `--out ${escapeText(out)} cannot be written: ${(error as Error).message}.`, { cause: error });
  }
}
