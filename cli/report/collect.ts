import type { ChainHead, Page, RunAction, RunView, SettledAnswer } from '../../contracts/run-api.ts';
import type { ApiClient } from '../api-client.ts';
import { exchangesOf, type Exchange } from './egress.ts';

/** Actions that are read of one run; a report of more says so. */
const mostActions = 50_000;
const pageSize = 200;
/** For the last events of an ended run to come into the chain. */
const settleWithinMs = 5000;

export interface CollectedRun {
  readonly run: RunView;
  readonly exchanges: readonly Exchange[];
  readonly truncated: boolean;
  readonly chain: ChainHead | undefined;
  readonly settled: boolean;
}

/** An ended run as the control plane tells it, after its last events are in the chain or time is over. */
export async function collectRun(api: ApiClient, runId: string): Promise<CollectedRun> {
  const { settled, chain } = await api.call<SettledAnswer>('GET', `/chat/run/${runId}/settled?wait_ms=${settleWithinMs}`);
  const [run, { actions, truncated }] = await Promise.all([
    api.call<RunView>('GET', `/chat/run/${runId}`),
    readActions(api, runId, mostActions),
  ]);
  return { run, exchanges: exchangesOf(actions), truncated, chain, settled };
}

/** Newest first, at most so many. */
export async function readActions(api: ApiClient, runId: string, most: number): Promise<{ readonly actions: readonly RunAction[]; readonly truncated: boolean }> {
  const actions: RunAction[] = [];
  let cursor: string | null = null;
  do {
    const query = `limit=${Math.min(pageSize, most)}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const page: Page<RunAction> = await api.call<Page<RunAction>>('GET', `/chat/run/${runId}/actions?${query}`);
    actions.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null && actions.length < most);
  return { actions: actions.slice(0, most), truncated: cursor !== null || actions.length > most };
}
