/** A request target in origin form whose bytes are judged and sent as they are. */
export interface Target {
  readonly ok: true;
  readonly path: string;
  /** Without its question mark; undefined when there is none. */
  readonly query: string | undefined;
  /** Between the slashes, as sent: `/a/b%2Fc/` has `a`, `b%2Fc` and an empty one; `/` has none. */
  readonly segments: readonly string[];
  /** Decoded, each once, in order. */
  readonly query_keys: readonly string[];
}
export interface TargetRefusal {
  readonly ok: false;
  readonly code: 'path_not_canonical' | 'ambiguous_target';
  readonly reason: string;
  /** The target that would be judged instead, where one can be named. */
  readonly canonical?: string;
}

/** Far above what servers take (8 KiB is usual), far below the 64 KiB of a head. */
const targetMaxBytes = 16_384;
const segmentsMax = 256;
/** More are refused rather than left out: a rule that looks for a key must see all of them. */
const queryKeysMax = 64;

/** Most paths: unreserved characters, sub-delimiters, `:` and `@` (RFC 3986, 3.3), without an escape. */
const plainPath = /^[A-Za-z0-9._~!$&'()*+,;=:@/-]+$/;
const outside = /[^\u0021-\u007e]/;
const badEscape = /%(?![0-9A-Fa-f]{2})/;
const escape = /%[0-9A-Fa-f]{2}/g;
/** ALPHA, DIGIT and `-._~` never need an escape (RFC 3986, 2.3). */
const encodedUnreserved = /%(?:2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])/i;
const encodedControl = /%(?:[01][0-9A-F]|7F)/i;
/** Overlong UTF-8 of an ASCII character (`%C0%AE` for a dot), which lenient decoders accept (RFC 3629, section 10). */
const overlong = /%C[01]%[89AB]|%E0%[89]|%F0%8/i;
const lowerHex = /%(?:[a-f]|[0-9A-F][a-f])/;
/** Where origins may see a dot segment: between slashes, encoded slashes and backslashes, or before `;` (servlet parameters). */
const dotSegment = /(?:^|\/|%2F|%5C)\.{1,2}(?:$|\/|;|%2F|%5C|%3B)/i;

const refuse = (code: TargetRefusal['code'], reason: string): TargetRefusal => ({ ok: false, code, reason });

/**
 * Judges a target such as `/a/b?c=d`. One that is not canonical already is refused, never rewritten: a signature over it would
 * break, and origin and policy must read the same bytes. `;` and `%2F` are kept and visible; query bytes are kept.
 */
export function judgeTarget(target: string): Target | TargetRefusal {
  if (!target.startsWith('/')) return refuse('ambiguous_target', 'the target does not start with a slash');
  if (target.length > targetMaxBytes) return refuse('ambiguous_target', `the target is longer than ${targetMaxBytes} bytes`);
  if (outside.test(target)) return refuse('ambiguous_target', 'the target holds a space, a control character or a byte above 127');
  if (target.includes('#')) return refuse('ambiguous_target', 'a fragment is never sent');
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? undefined : target.slice(mark + 1);

  const fault = pathFault(path);
  if (fault !== undefined) {
    const mended = fault.code === 'path_not_canonical' ? canonicalPath(path) : undefined;
    return mended === undefined ? fault : { ...fault, canonical: mended + target.slice(path.length) };
  }
  const segments = path === '/' ? [] : path.slice(1).split('/');
  if (segments.length > segmentsMax) return refuse('ambiguous_target', `the path has more than ${segmentsMax} segments`);
  const query_keys = query === undefined ? [] : queryKeys(query);
  if (query_keys === undefined) return refuse('ambiguous_target', `the query has more than ${queryKeysMax} different keys`);
  return { ok: true, path, query, segments, query_keys };
}

function pathFault(path: string): TargetRefusal | undefined {
  if (!plainPath.test(path)) {
    if (path.includes('\\')) return refuse('ambiguous_target', 'a backslash is a slash to some and not to others');
    if (badEscape.test(path)) return refuse('ambiguous_target', 'a percent sign without two hexadecimal digits');
    if (encodedControl.test(path)) return refuse('ambiguous_target', 'an encoded control character');
    if (overlong.test(path)) return refuse('ambiguous_target', 'an overlong UTF-8 encoding');
    if (encodedUnreserved.test(path)) return refuse('path_not_canonical', 'a character is percent-encoded that need not be');
    if (lowerHex.test(path)) return refuse('path_not_canonical', 'hexadecimal digits of an escape are lower case');
  }
  if (path.includes('//')) return refuse('path_not_canonical', 'two slashes in a row');
  return dotSegment.test(path) ? refuse('path_not_canonical', 'a dot segment') : undefined;
}

/** RFC 3986, 6.2.2, and slashes merged. Undefined where that would only be a guess (dot segments behind `%2F`, `..;`). */
function canonicalPath(path: string): string | undefined {
  const decoded = path.replace(escape, (text) => {
    const upper = text.toUpperCase();
    return encodedUnreserved.test(upper) ? String.fromCharCode(Number.parseInt(upper.slice(1), 16)) : upper;
  });
  const output: string[] = [];
  const parts = decoded.split('/').slice(1);
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    const dots = part === '.' || part === '..';
    if (part === '..') output.pop();
    if (part !== '' && !dots) output.push(part);
    else if (last && output.length > 0) output.push('');
  }
  const canonical = `/${output.join('/')}`;
  return pathFault(canonical) === undefined ? canonical : undefined;
}

/** As HTML forms read it: pairs between `&`, `+` is a space; a key that is no UTF-8 stays as sent. */
function queryKeys(query: string): readonly string[] | undefined {
  const keys = new Set<string>();
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const raw = equals < 0 ? pair : pair.slice(0, equals);
    let key = raw;
    if (raw.includes('%') || raw.includes('+')) {
      try {
        key = decodeURIComponent(raw.replaceAll('+', ' '));
      } catch {
        // Not UTF-8: policy sees the bytes as sent.
      }
    }
    keys.add(key);
    if (keys.size > queryKeysMax) return undefined;
  }
  return [...keys];
}
