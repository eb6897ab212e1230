import type { Command } from 'commander';
import { resolve } from 'node:path';
import { localApi, remoteApi, type ApiClient } from './api-client.ts';
import type { Environment } from './config.ts';
import { apiSocket } from './data-folder-paths.ts';
import { terminalJson } from './text.ts';

/** What each file in `commands/` exports as `define`: gives the command its options and what it does. */
export type DefineCommand = (command: Command, environment: Environment) => void;

export interface TargetOptions {
  readonly data?: string;
  readonly json?: boolean;
}

export function example(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExample:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

export function dataOption(command: Command): Command {
  return command.option('--data <dir>', 'data folder (default: SALLYPORT_DATA, or sallyport in the XDG state folder)');
}

export function jsonOption(command: Command): Command {
  return command.option('--json', 'answer in JSON');
}

export function dataFolderOf(options: TargetOptions, environment: Environment): string {
  return options.data === undefined ? environment.dataFolder : resolve(options.data);
}

/** The control plane that the options and the environment name: `--data` is always this machine. */
export function apiOf(options: TargetOptions, environment: Environment): ApiClient {
  if (environment.remote !== undefined && options.data === undefined) return remoteApi(environment.remote);
  return localApi(apiSocket(dataFolderOf(options, environment)));
}

/** For options that may be given more than once. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

export function printJson(value: unknown): void {
  process.stdout.write(`${terminalJson(value, 2)}\n`);
}

export function printLines(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
}
