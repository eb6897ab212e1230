import test from 'ava';
import * as fc from 'fast-check';
import { judgeTarget } from '../../contracts/path.ts';

const accepted: readonly (readonly [target: string, segments: readonly string[], keys?: readonly string[]])[] = [
  ['/', []],
  ['/a', ['a']],
  ['/a/', ['a', '']],
  ['/a/b.c/d-e_f~g', ['a', 'b.c', 'd-e_f~g']],
  ['/a;b=1/c', ['a;b=1', 'c']],
  ['/@scope/pkg', ['@scope', 'pkg']],
  ['/@scope%2Fpkg', ['@scope%2Fpkg']],
  ['/%C3%A9', ['%C3%A9']],
  ['/a%20b', ['a%20b']],
  ['/a|b[c]', ['a|b[c]']],
  ['/...', ['...']],
  ['/a..b/..c/d..', ['a..b', '..c', 'd..']],
  ['/.well-known/x', ['.well-known', 'x']],
  ['/%252e%252e/', ['%252e%252e', '']],
  ['/:80/@/$&\'()*+,;=!', [':80', '@', '$&\'()*+,;=!']],
  ['/?', [], []],
  ['/a?x=1&y=2', ['a'], ['x', 'y']],
  ['/a?x=1&x=2&y', ['a'], ['x', 'y']],
  ['/a?b=/../c//d', ['a'], ['b']],
  ['/a?q=%', ['a'], ['q']],
  ['/a?%zz=1&&=2', ['a'], ['%zz', '']],
  ['/a?t%6Fken=1&a+b=2&%C3%A9', ['a'], ['token', 'a b', 'é']],
  ['/a??x', ['a'], ['?x']],
];

const refused: readonly (readonly [target: string, code: 'path_not_canonical' | 'ambiguous_target', canonical?: string])[] = [
  ['/a/../b', 'path_not_canonical', '/b'],
  ['/a/..', 'path_not_canonical', '/'],
  ['/..', 'path_not_canonical', '/'],
  ['/../../etc/passwd', 'path_not_canonical', '/etc/passwd'],
  ['/./a', 'path_not_canonical', '/a'],
  ['/a/.', 'path_not_canonical', '/a/'],
  ['/a/./?x=/../', 'path_not_canonical', '/a/?x=/../'],
  ['/a/%2e%2e/b', 'path_not_canonical', '/b'],
  ['/a/.%2E/b', 'path_not_canonical', '/b'],
  ['/a/%2E', 'path_not_canonical', '/a/'],
  ['/a//b', 'path_not_canonical', '/a/b'],
  ['//', 'path_not_canonical', '/'],
  ['//site.example/a', 'path_not_canonical', '/site.example/a'],
  ['/%61dmin', 'path_not_canonical', '/admin'],
  ['/%7Euser', 'path_not_canonical', '/~user'],
  ['/%c3%a9', 'path_not_canonical', '/%C3%A9'],
  ['/a%2fb', 'path_not_canonical', '/a%2Fb'],
  ['/a%2Fb%3a', 'path_not_canonical', '/a%2Fb%3A'],
  ['/public/..%2Fadmin', 'path_not_canonical'],
  ['/public%2F..%2Fadmin', 'path_not_canonical'],
  ['/public/%2e%2e%2Fadmin', 'path_not_canonical'],
  ['/public/..;/admin', 'path_not_canonical'],
  ['/public/.;a=b/admin', 'path_not_canonical'],
  ['/public/..%3B/admin', 'path_not_canonical'],
  ['/public%5C..%5Cadmin', 'path_not_canonical'],
  ['/a\\b', 'ambiguous_target'],
  ['/\\site.example', 'ambiguous_target'],
  ['/a#b', 'ambiguous_target'],
  ['/a?b#c', 'ambiguous_target'],
  ['/a%', 'ambiguous_target'],
  ['/a%2', 'ambiguous_target'],
  ['/a%2G', 'ambiguous_target'],
  ['/a%u0041', 'ambiguous_target'],
  ['/a%00', 'ambiguous_target'],
  ['/a%0D%0Ab', 'ambiguous_target'],
  ['/a%7F', 'ambiguous_target'],
  ['/%C0%AE%C0%AE/', 'ambiguous_target'],
  ['/%E0%80%AF', 'ambiguous_target'],
  ['/%F0%80%80%AF', 'ambiguous_target'],
  ['/a b', 'ambiguous_target'],
  ['/a\tb', 'ambiguous_target'],
  ['/a\0b', 'ambiguous_target'],
  ['/a?b\r\nc', 'ambiguous_target'],
  ['/a?b c', 'ambiguous_target'],
  ['/é', 'ambiguous_target'],
  ['/a?é', 'ambiguous_target'],
  ['*', 'ambiguous_target'],
  ['', 'ambiguous_target'],
  ['a', 'ambiguous_target'],
  ['?a', 'ambiguous_target'],
  ['http://site.example/', 'ambiguous_target'],
  [`/${'a'.repeat(16_384)}`, 'ambiguous_target'],
  [`/a${'/a'.repeat(256)}`, 'ambiguous_target'],
  [`/?${Array.from({ length: 65 }, (_, index) => `k${index}`).join('&')}`, 'ambiguous_target'],
];

test('a canonical target is taken apart and its bytes kept', (t) => {
  for (const [target, segments, keys] of accepted) {
    const mark = target.indexOf('?');
    t.deepEqual(judgeTarget(target), {
      ok: true,
      path: mark < 0 ? target : target.slice(0, mark),
      query: mark < 0 ? undefined : target.slice(mark + 1),
      segments,
      query_keys: keys ?? [],
    }, target);
  }
});

test('any other is refused with its code, and the canonical form where there is one', (t) => {
  for (const [target, code, canonical] of refused) {
    const result = judgeTarget(target);
    t.like(result, { ok: false, code }, target);
    t.is(result.ok ? undefined : result.canonical, canonical, target);
  }
});

test('up to 64 keys are all told', (t) => {
  const keys = Array.from({ length: 64 }, (_, index) => `k${index}`);
  const result = judgeTarget(`/?${keys.join('&')}&k0=again`);
  t.deepEqual(result.ok && result.query_keys, keys);
});

const piece = fc.oneof(
  fc.constantFrom('/', '.', '..', '%2e', '%2E', '%2F', '%2f', '%5C', ';', '\\', '%', '%4', '%41', '%C3%A9', '%c3', '?', '#', '&', '=', '%00', '%C0%AE', 'a', 'B', '~'),
  fc.string({ maxLength: 4 }),
);
const target = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);

test('what is accepted is a path that a URL parser leaves alone', (t) => {
  fc.assert(fc.property(target, (raw) => {
    const result = judgeTarget(raw);
    if (!result.ok) return;
    const url = new URL(`http://site.example${raw}`);
    // A URL parser escapes what RFC 3986 has no place for; the bytes that we pass on are then still one reading.
    t.is(url.pathname.replace(/%(?:22|3C|3E|5E|60|7B|7D|7C)/g, (escape) => decodeURIComponent(escape)),
      result.path.replace(/%(?:22|3C|3E|5E|60|7B|7D|7C)/g, (escape) => decodeURIComponent(escape)));
    t.is(result.query === undefined ? result.path : `${result.path}?${result.query}`, raw);
    for (const decoded of result.path.split(/\/|%2F|%5C/)) t.false(decoded === '.' || decoded === '..');
  }), { numRuns: 3000 });
});

test('the canonical form that a refusal names is accepted, and keeps the query', (t) => {
  let named = 0;
  fc.assert(fc.property(target, (raw) => {
    const result = judgeTarget(raw);
    if (result.ok || result.canonical === undefined) return;
    named++;
    const mended = judgeTarget(result.canonical);
    t.true(mended.ok, `${raw} -> ${result.canonical}`);
    if (mended.ok) t.is(mended.query, raw.includes('?') ? raw.slice(raw.indexOf('?') + 1) : undefined);
  }), { numRuns: 3000 });
  t.true(named > 50);
});
