/** Names and values as they are recorded. */
type RecordedHeaders = readonly (readonly [name: string, value: string])[];

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

/** `headers` is a list of names and values in turn, as they came; `Location` is shown as by `redactUrl`; beyond the bound of all values only names are. */
export function redactHeaders(headers: readonly string[]): RecordedHeaders {
  const recorded: [string, string][] = [];
  let left = valuesMaxLength;
  for (let index = 0; index + 1 < headers.length && recorded.length < fieldsMax; index += 2) {
    const name = headers[index]!;
    const value = headers[index + 1]!;
    const lower = name.toLowerCase();
    const visible = shown.has(lower) ? cut(value, valueMaxLength) : lower === 'location' ? redactUrl(value) : redacted;
    left -= visible.length;
    recorded.push([cut(name, nameMaxLength), left < 0 ? redacted : visible]);
  }
  return recorded;
}
