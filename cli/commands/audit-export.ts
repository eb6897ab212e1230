import type { Command } from 'commander';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { SallyportError } from '../../contracts/errors.ts';
import { apiOf, dataOption, example, jsonOption, printJson, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';

const silence = 120_000;

interface Options extends TargetOptions {
  readonly out?: string;
}

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    .option('--out <file>', 'where to write it (default: standard output)')
    .action((options: Options) => exportChain(options, environment));
  example(command, 'sallyport audit export --out trail.jsonl');
}

/** A file appears whole or not at all. What breaks off on standard output lacks its last line, which `verify` finds. */
async function exportChain({ out, ...options }: Options, environment: Environment): Promise<void> {
  const chain = await apiOf(options, environment).open('GET', '/admin/audit/export', { timeoutMs: silence });
  if (out === undefined || out === '-') {
    await pipeline(chain, process.stdout, { end: false });
    return;
  }
  const unfinished = `${out}.${process.pid}.unfinished`;
  try {
    const file = createWriteStream(unfinished, { flags: 'wx', mode: 0o600 });
    await pipeline(chain, file);
    await rename(unfinished, out);
    if (options.json === true) printJson({ out, bytes: file.bytesWritten });
  } catch (error) {
    await rm(unfinished, { force: true });
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof SallyportError) throw error;
    if (code === 'ENOSPC') throw new SallyportError('disk_full', `There is no space left for ${out}.`, { cause: error });
    if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') throw new SallyportError('control_plane_unreachable', 'The control plane broke off in the middle of the export.', { cause: error });
    throw new SallyportError('usage', `--out ${out} cannot be written: ${message}.`, { cause: error });
  }
}
