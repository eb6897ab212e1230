import { actorKinds, eventTypes, type Event } from './event.ts';
import { isUuidv7 } from './ids.ts';
import { isJsonObject } from './json.ts';

type Check = (value: unknown) => boolean;

const printable = /^[ -~]{1,100}$/;
const types: ReadonlySet<unknown> = new Set(eventTypes);
const actors: ReadonlySet<unknown> = new Set(actorKinds);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isId: Check = (value) => typeof value === 'string' && printable.test(value);
const isUuid: Check = (value) => typeof value === 'string' && isUuidv7(value);
const isText = (value: unknown, most: number): boolean => typeof value === 'string' && value.length <= most && value.isWellFormed();

const checks: ReadonlyMap<string, Check> = new Map<keyof Event, Check>([
  ['v', (value) => value === 1],
  ['event_id', isUuid],
  ['type', (value) => types.has(value)],
  ['at', (value) => Number.isSafeInteger(value) && (value as number) >= 0],
  ['session_id', isId],
  ['run_id', isId],
  ['step_id', isId],
  ['causes', (value) => Array.isArray(value) && value.length <= 16 && value.every(isUuid)],
  ['actor', (value) => isObject(value) && Object.keys(value).length === 2 && actors.has(value['kind']) && isId(value['id'])],
  ['policy', isPolicy],
  ['facts', isJsonObject],
  ['payload', isJsonObject],
]);
const required: readonly (keyof Event)[] = ['v', 'event_id', 'type', 'at', 'causes', 'actor', 'facts', 'payload'];

/**
 * Whether a parsed line is an event as `eventSchema` has it, which takes ten times as long and is asked only where this says no: it has
 * the last word, and says what is wrong.
 */
export function hasEventShape(value: unknown): value is Event {
  if (!isObject(value)) return false;
  for (const key in value) {
    if (checks.get(key)?.(value[key]) !== true) return false;
  }
  return required.every((key) => Object.hasOwn(value, key));
}

function isPolicy(value: unknown): boolean {
  if (!isObject(value) || Object.keys(value).length !== 2 || !isText(value['revision'], 100)) return false;
  const { rules } = value;
  return Array.isArray(rules) && rules.length <= 64 && rules.every((rule) => isText(rule, 200));
}
