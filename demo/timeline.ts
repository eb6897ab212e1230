import type { Event } from '../contracts/event.ts';
import { siteName, type Sightings } from './sightings.ts';

/** One line of the timeline: an event of the verified export, and what the outside says about it. */
export interface Line {
  /** Milliseconds since the run was created. */
  readonly at: number;
  readonly verdict: 'allowed' | 'refused' | 'event';
  readonly what: string;
  /** Status, or the code of the refusal. */
  readonly outcome: string;
  /** What the logs of site and canaries say. */
  readonly seen: string;
  readonly ok: boolean;
}

export interface Story {
  readonly lines: readonly Line[];
  /** What must not be; empty when nothing got out that policy did not allow. */
  readonly holes: readonly string[];
  readonly allowed: number;
  readonly refused: number;
}

/** Puts the run's record beside what arrived. The record alone convinces nobody: each line is held against the servers' logs. */
export function tell(events: readonly Event[], seen: Sightings): Story {
  const start = events[0]?.at ?? 0;
  const completions = new Map(events.filter(({ type }) => /^egress\.(?:completed|failed|cut)$/.test(type)).map((event) => [event.facts['egress_id'], event]));
  const decided = new Map<string, number>();
  const holes: string[] = [];
  const lines: Line[] = [];
  for (const event of events) {
    const at = event.at - start;
    if (event.type === 'egress.decided') {
      const key = keyOf(event);
      decided.set(key, (decided.get(key) ?? 0) + 1);
      const arrived = seen.requests.get(key) ?? 0;
      const status = completions.get(event.facts['egress_id'])?.payload['status'];
      lines.push({ at, verdict: 'allowed', what: whatOf(event), outcome: String(status ?? 'no answer'), seen: arrived === 0 ? 'the site saw nothing' : `the site saw it ${times(arrived)}`, ok: arrived > 0 });
    } else if (event.type === 'egress.denied') {
      const arrived = seen.requests.get(keyOf(event)) ?? 0;
      const expected = isSite(event) ? decided.get(keyOf(event)) ?? 0 : 0;
      const ok = arrived === expected || !isSite(event);
      lines.push({ at, verdict: 'refused', what: whatOf(event), outcome: String(event.facts['code']), seen: ok ? 'nobody saw it' : `the site saw it ${times(arrived)}`, ok });
    } else if (event.type === 'run.created' || event.type === 'run.transitioned') {
      lines.push({ at, verdict: 'event', what: event.type === 'run.created' ? 'the run begins' : `the run is ${String(event.facts['to'])}`, outcome: '', seen: '', ok: true });
    }
  }
  for (const [key, count] of seen.requests) {
    if (count !== (decided.get(key) ?? 0)) holes.push(`The site saw ${key} ${times(count)}, and the record allowed it ${times(decided.get(key) ?? 0)}.`);
  }
  const arrived = [...seen.requests.values()].reduce((sum, count) => sum + count, 0);
  if (seen.connections > arrived) holes.push(`The site saw ${seen.connections} connections for ${arrived} requests.`);
  for (const [place, contacts] of seen.canaries) if (contacts > 0) holes.push(`The canary at ${place} was reached ${times(contacts)}.`);
  for (const { ok, what } of lines) if (!ok) holes.push(`The record of ${what} is not what the site saw.`);
  const count = (verdict: Line['verdict']): number => lines.filter((line) => line.verdict === verdict).length;
  return { lines, holes, allowed: count('allowed'), refused: count('refused') };
}

const keyOf = ({ payload }: Event): string => `${String(payload['method'])} ${String(payload['scheme'])}://${String(payload['host'])}${String(payload['path'])}`;
const ownPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };
const isOwnPort = ({ payload }: Event): boolean => payload['port'] === ownPorts[String(payload['scheme'])];
const isSite = (event: Event): boolean => event.payload['host'] === siteName && isOwnPort(event);
const times = (count: number): string => count === 1 ? 'once' : `${count} times`;

function whatOf(event: Event): string {
  const { act, scheme, method, host, port, path } = event.payload;
  if (act === 'connect') return `CONNECT ${String(host)}:${String(port)}`;
  return `${String(method).padEnd(6)} ${String(scheme)}://${String(host)}${isOwnPort(event) ? '' : `:${String(port)}`}${String(path)}`;
}

/** What a refusal must have been recorded for, by its code, at least so often. */
const expected: Readonly<Record<string, number>> = {
  policy_denied: 5, 'core.host_mismatch': 1, 'core.non_public_address': 1, 'core.metadata_address': 1, budget_exhausted: 3,
};

/** A demo in which the agent didn't even try would prove nothing. */
export function jobFaults({ lines, allowed }: Story, { requests, exitCode }: { readonly requests: number; readonly exitCode: number }): readonly string[] {
  const faults: string[] = [];
  if (exitCode !== 0) faults.push(`sallyport run ended with ${exitCode}.`);
  if (allowed !== requests) faults.push(`${allowed} requests were allowed, and the budget is ${requests}.`);
  for (const what of ['GET    http://site.example/catalogue', 'GET    https://site.example/item/7', 'POST   https://site.example/orders']) {
    if (!lines.some((line) => line.verdict === 'allowed' && line.what === what && /^20[01]$/.test(line.outcome))) faults.push(`The job is not done: ${what} has no good answer.`);
  }
  for (const [code, least] of Object.entries(expected)) {
    const found = lines.filter((line) => line.verdict === 'refused' && line.outcome === code).length;
    if (found < least) faults.push(`${code} is recorded ${found} times, and ${least} tries were made.`);
  }
  return faults;
}
