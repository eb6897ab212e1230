import type { Command } from 'commander';
import type { Page, RunView } from '../../contracts/run-api.ts';
import { apiOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { UsageError } from '../failure.ts';
import { escapeText, table } from '../text.ts';

const pageSize = 200;

interface Options extends TargetOptions {
  readonly state?: string;
  readonly session?: string;
  readonly limit: string;
}

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    .option('--state <state>', 'only runs in this state, such as Active')
    .option('--session <id>', 'only runs of this session')
    .option('--limit <n>', 'at most so many', '20')
    .action((options: Options) => list(options, environment));
  example(command, 'sallyport runs list --state Active');
}

async function list(options: Options, environment: Environment): Promise<void> {
  const limit = readLimit(options.limit);
  const api = apiOf(options, environment);
  const runs: RunView[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: String(Math.min(pageSize, limit - runs.length)) });
    if (options.state !== undefined) query.set('state', options.state);
    if (options.session !== undefined) query.set('session_id', options.session);
    if (cursor !== null) query.set('cursor', cursor);
    const page: Page<RunView> = await api.call<Page<RunView>>('GET', `/chat/run?${query}`);
    runs.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null && runs.length < limit);
  if (options.json === true) printJson({ items: runs, next_cursor: cursor });
  else if (runs.length === 0) printLines(['There are no such runs.']);
  else printLines(table(runs.map((run) => [run.run_id, run.state, new Date(run.created_at).toISOString().slice(0, 19).concat('Z'), run.channel, escapeText(run.goal, 80)])));
}

export function readLimit(text: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new UsageError([`--limit: "${text}" is not a number from 1 to 999999.`]);
  return Number(text);
}
