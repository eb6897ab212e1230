import type { HeaderList, RequestHead } from '../exchange.ts';

/** Whether a field is called `lower`. Length and first letter tell most of those that are not, without lowering them. */
export function isNamed(field: string, lower: string): boolean {
  return field.length === lower.length && (field.charCodeAt(0) | 32) === lower.charCodeAt(0) && field.toLowerCase() === lower;
}

const none: readonly string[] = [];

/** Values of the field `name` (lower case), in order. */
export function fieldValues(headers: HeaderList, name: string): readonly string[] {
  let values: string[] | undefined;
  for (let index = 0; index < headers.length; index += 2) {
    if (isNamed(headers[index]!, name)) (values ??= []).push(headers[index + 1]!);
  }
  return values ?? none;
}

/** As `node:http2` takes trailers and interim heads: it knows no list there, so values of one name come together. Names in lower case. */
export function valuesByName(fields: HeaderList): Record<string, string[]> {
  const byName: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (let index = 0; index < fields.length; index += 2) (byName[fields[index]!.toLowerCase()] ??= []).push(fields[index + 1]!);
  return byName;
}

const keepAlive: readonly string[] = ['keep-alive'];
const oneMember = /^[A-Za-z0-9-]+$/;

/** Members of a comma list (RFC 9110, section 5.6.1), lower case, empty ones left out. White space is SP and HTAB, no more (`trim` takes NBSP). */
export function listMembers(values: readonly string[]): readonly string[] {
  if (values.length === 0) return none;
  if (values.length === 1) {
    const value = values[0]!;
    // Nearly all there is.
    if (value === 'keep-alive' || value === 'Keep-Alive') return keepAlive;
    if (oneMember.test(value)) return [value.toLowerCase()];
  }
  return values.join(',').toLowerCase().split(',').map(trimmed).filter((member) => member !== '');
}

const isBlank = (unit: number): boolean => unit === 32 || unit === 9;

/** By hand: a pattern for white space at the end begins anew at each blank in the middle, and 60 KiB of them held all runs up for 10 s. */
function trimmed(member: string): string {
  let from = 0;
  let to = member.length;
  while (from < to && isBlank(member.charCodeAt(from))) from++;
  while (to > from && isBlank(member.charCodeAt(to - 1))) to--;
  return member.slice(from, to);
}

/**
 * Hops that a TRACE or OPTIONS may still take (RFC 9110, section 7.6.2); undefined where nothing is said or the method is another one,
 * NaN where it can't be read.
 */
export function hopsLeft({ method, headers }: Pick<RequestHead, 'method' | 'headers'>): number | undefined {
  if (method !== 'OPTIONS' && method !== 'TRACE') return undefined;
  const values = fieldValues(headers, 'max-forwards');
  if (values.length === 0) return undefined;
  return values.length === 1 && /^[0-9]{1,9}$/.test(values[0]!) ? Number(values[0]) : Number.NaN;
}

const lowerCaseName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** Names of HTTP/2 are tokens without capitals (RFC 9113, section 8.2.1). */
export function isHttp2FieldName(name: string): boolean {
  return lowerCaseName.test(name);
}
