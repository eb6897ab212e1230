import test from 'ava';
import * as fc from 'fast-check';
import { targetsAccepted, targetsRefused } from '../corpora/path-spellings.ts';
import { judgeTarget } from '../../contracts/path.ts';

test('a canonical target is taken apart and its bytes kept', (t) => {
  for (const [target, segments, keys] of targetsAccepted) {
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
  for (const [target, code, canonical] of targetsRefused) {
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
