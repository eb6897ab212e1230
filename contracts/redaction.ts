/** Fields whose values say how an exchange went and are nobody's secret. Of all others only the name is recorded. */
const shown: ReadonlySet<string> = new Set([
  'accept', 'accept-encoding', 'connection', 'content-encoding', 'content-length', 'content-type', 'date', 'expect', 'host',
  'retry-after', 'server', 'transfer-encoding', 'upgrade', 'user-agent', 'via',
]);

/**
 * So that a record has a bound (contracts/journal.ts): 100 fields of at most 64 + 256 characters, values of 8 Ki together. What they hold
 * is anybody's choice, and quotes or bytes above 127 take two bytes each: at most some 25 KiB.
 */
const fieldsMax = 100;
const nameMaxLength = 64;
const valueMaxLength = 256;
const valuesMaxLength = 8192;

export const redacted = '[redacted]';
const redactedText = JSON.stringify(redacted);

const cut = (text: string, length: number): string => (text.length <= length ? text : `${text.slice(0, length)}...`);

/**
 * A URL or a reference to one, without user information, query values and fragment; `?` stays where there was a query. What
 * cannot be read is not shown.
 */
export function redactUrl(url: string): string {
  const end = url.search(/[?#]/);
  const before = end < 0 ? url : url.slice(0, end);
  const query = end >= 0 && url[end] === '?' ? '?' : '';
  const authority = /^(?:[A-Za-z][A-Za-z0-9+.-]*:)?[/\\]{2,}([^/\\]*)/.exec(before)?.[1] ?? '';
  const opaque = /^[A-Za-z][A-Za-z0-9+.-]*:(?![/\\])/.test(before);
  if (opaque || authority.includes('@')) return redacted;
  return cut(before, valueMaxLength) + query;
}

/** What is recorded of fields with one name. */
interface NameRule {
  readonly kind: 'shown' | 'location' | 'hidden';
  /** The name as it stands in a record, as JSON. */
  readonly name: string;
}

/** Names recur from request to request: 12 of 20 us that two records took went into lowering and quoting them. */
const rules = new Map<string, NameRule>();
const rulesMax = 1024;

function ruleOf(name: string): NameRule {
  const known = rules.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  const rule: NameRule = { kind: shown.has(lower) ? 'shown' : lower === 'location' ? 'location' : 'hidden', name: JSON.stringify(cut(name, nameMaxLength)) };
  // Whoever invents names is not remembered.
  if (rules.size < rulesMax && name.length <= nameMaxLength) rules.set(name, rule);
  return rule;
}

/**
 * JSON text of `[[name, value], ...]` for a list of names and values in turn, as they came; `Location` is shown as by `redactUrl`, beyond
 * the bound of all values only names are.
 */
export function redactHeaders(headers: readonly string[]): string {
  let text = '[';
  let left = valuesMaxLength;
  const end = Math.min(headers.length - 1, fieldsMax * 2);
  for (let index = 0; index < end; index += 2) {
    const { kind, name } = ruleOf(headers[index]!);
    const value = kind === 'shown' ? cut(headers[index + 1]!, valueMaxLength) : kind === 'location' ? redactUrl(headers[index + 1]!) : redacted;
    left -= value.length;
    text += `${index === 0 ? '' : ','}[${name},${left < 0 || value === redacted ? redactedText : JSON.stringify(value)}]`;
  }
  return `${text}]`;
}
