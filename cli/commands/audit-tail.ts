import type { Command } from 'commander';
import { setTimeout as pause } from 'node:timers/promises';
import type { Page, RunAction } from '../../contracts/run-api.ts';
import type { ApiClient } from '../api-client.ts';
import { actionLine } from '../audit/action-line.ts';
import { apiOf, dataOption, example, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { terminalJson } from '../text.ts';
import { readLimit } from './runs-list.ts';

/** Between looks of `--follow`; a proxy's events arrive at least once a second. Milliseconds. */
const lookEvery = 500;
const pageSize = 200;
/** Events that are remembered as shown; older ones don't come again. */
const remembered = 20_000;

interface Options extends TargetOptions {
  readonly run?: string;
  readonly follow?: boolean;
  readonly limit: string;
}

export function define(command: Command, environment: Environment): void {
  dataOption(command)
    .option('--json', 'one JSON object a line')
    .option('--run <run_id>', 'only events of this run')
    .option('--follow', 'go on as events arrive')
    .option('--limit <n>', 'how many to begin with', '20')
    .action((options: Options) => tail(options, environment));
  example(command, 'sallyport audit tail --follow');
}

async function tail(options: Options, environment: Environment): Promise<void> {
  const api = apiOf(options, environment);
  const shown = new Set<string>();
  let wanted = readLimit(options.limit);
  for (;;) {
    const actions = await latest(api, options.run, wanted, shown);
    // Events of a proxy come later than they happened, so what is new is what was not shown, wherever it stands.
    const fresh = actions.filter((action) => !shown.has(keyOf(action))).toReversed();
    for (const action of fresh) shown.add(keyOf(action));
    printLines(fresh.map((action) => options.json === true ? terminalJson(action) : actionLine(action)));
    if (options.follow !== true) return;
    for (const key of shown) {
      if (shown.size <= remembered) break;
      shown.delete(key);
    }
    wanted = remembered;
    await pause(lookEvery);
  }
}

/** An exchange is shown when it was decided, and again when it has come to its end. */
const keyOf = ({ event, completion }: RunAction): string => `${event.event_id} ${completion?.event_id ?? ''}`;

/** Newest first; page after page until everything on one was shown before. */
async function latest(api: ApiClient, run: string | undefined, most: number, shown: ReadonlySet<string>): Promise<readonly RunAction[]> {
  const found: RunAction[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: String(Math.min(pageSize, most - found.length)) });
    if (run !== undefined) query.set('run_id', run);
    if (cursor !== null) query.set('cursor', cursor);
    const page: Page<RunAction> = await api.call<Page<RunAction>>('GET', `/admin/audit/events?${query}`);
    found.push(...page.items);
    cursor = page.items.every((action) => shown.has(keyOf(action))) || (shown.size > 0 && page.items.some((action) => shown.has(keyOf(action)))) ? null : page.next_cursor;
  } while (cursor !== null && found.length < most);
  return found;
}
