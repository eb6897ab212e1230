import { readFile } from 'node:fs/promises';
import type { Event } from '../contracts/event.ts';

/** The events of one run, in the order in which they happened, from an export that has been verified before. */
export async function readRecord(path: string, runId: string): Promise<readonly Event[]> {
  const events: Event[] = [];
  for (const line of (await readFile(path, 'utf8')).split('\n')) {
    if (!line.startsWith('{"event":')) continue;
    const { event, payload } = JSON.parse(line) as { readonly event: Event; readonly payload?: Event['payload'] };
    if (event.run_id === runId) events.push({ ...event, payload: payload ?? {} });
  }
  return events.sort((one, other) => one.at - other.at || (one.event_id < other.event_id ? -1 : 1));
}
