import type { JsonObject, JsonValue } from '../../contracts/json.ts';
import type { RunAction } from '../../contracts/run-api.ts';

/** One exchange in a run's report; the keys are api.md's. */
export interface EgressRow {
  readonly event_id: string;
  readonly at: number;
  readonly act: string;
  readonly method: string;
  /** Null for a tunnel. */
  readonly scheme: 'http' | 'https' | null;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly address: string | null;
  /** A request that could not be decided was not sent either: it is a `deny`, and its code says which fault. */
  readonly effect: 'allow' | 'deny' | 'require_approval';
  readonly code: string | null;
  /** In a run that observes: what it would have been. */
  readonly observed: 'deny' | 'require_approval' | null;
  readonly rules: readonly string[];
  readonly status: number | null;
  readonly bytes_out: number;
  readonly bytes_in: number;
  readonly duration_ms: number | null;
}

/** An exchange, with what only a person's report needs. */
export interface Exchange extends EgressRow {
  /** Why it was refused, or what it came to nothing by, for a person. */
  readonly detail: string;
  /** The meter that ended it. */
  readonly meter: string | undefined;
  /** The request target as it came, where host and path could not be read from it. */
  readonly target: string | undefined;
  /** Nothing allowed it, as opposed to something forbidding it. */
  readonly byDefault: boolean;
}

/** The rule that speaks when no other does. */
const defaultDeny = 'core.default_deny';

/** The exchanges among a run's actions, oldest first. */
export function exchangesOf(newestFirst: readonly RunAction[]): readonly Exchange[] {
  return newestFirst
    .filter(({ event }) => event.type === 'egress.denied' || event.type === 'egress.decided')
    .map((action) => exchangeOf(action))
    .toReversed();
}

function exchangeOf({ event, completion }: RunAction): Exchange {
  const { facts, payload } = event;
  const done = completion?.payload ?? {};
  const doneFacts = completion?.facts ?? {};
  const denied = event.type === 'egress.denied';
  const spent = object(doneFacts['spent']);
  return {
    event_id: event.event_id,
    at: event.at,
    act: text(payload['act']) ?? 'request',
    method: text(payload['method']) ?? '',
    scheme: schemeOf(payload['scheme']),
    host: text(payload['host']) ?? '',
    port: number(payload['port']) ?? 0,
    path: text(payload['path']) ?? '',
    address: text(done['address']) ?? text(payload['address']) ?? null,
    effect: denied ? facts['effect'] === 'require_approval' ? 'require_approval' : 'deny' : 'allow',
    code: text(facts['code']) ?? text(doneFacts['code']) ?? null,
    observed: observedOf(payload['observed']),
    rules: event.policy?.rules ?? [],
    status: number(done['status']) ?? null,
    bytes_out: number(spent['bytes_out']) ?? 0,
    bytes_in: number(spent['bytes_in']) ?? 0,
    duration_ms: number(done['duration_ms']) ?? null,
    detail: text(payload['detail']) ?? text(done['detail']) ?? '',
    meter: text(doneFacts['meter']) ?? text(payload['meter']),
    target: text(payload['target']),
    byDefault: payload['default'] === true || (event.policy?.rules.includes(defaultDeny) ?? false),
  };
}

export function egressRow({ detail: _detail, meter: _meter, target: _target, byDefault: _byDefault, ...row }: Exchange): EgressRow {
  return row;
}

const text = (value: JsonValue | undefined): string | undefined => typeof value === 'string' ? value : undefined;
const number = (value: JsonValue | undefined): number | undefined => typeof value === 'number' ? value : undefined;
const schemeOf = (value: JsonValue | undefined): EgressRow['scheme'] => value === 'http' || value === 'https' ? value : null;
const observedOf = (value: JsonValue | undefined): EgressRow['observed'] => value === 'deny' || value === 'require_approval' ? value : null;
const object = (value: JsonValue | undefined): JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value) ? value as JsonObject : {};
