import test from 'ava';
import * as fc from 'fast-check';
import { addressesSpelled, hostsRefused, namesSpelled } from '../corpora/host-spellings.ts';
import { canonicalHost, formatAuthority, parseAuthority, suffixes } from '../../contracts/host.ts';

test('names have one spelling', (t) => {
  for (const [raw, host] of namesSpelled) t.deepEqual(canonicalHost(raw), { ok: true, host, is_ip_literal: false }, raw);
});

test('every spelling of an address becomes that address', (t) => {
  for (const [raw, host, family] of addressesSpelled) t.deepEqual(canonicalHost(raw), { ok: true, host, is_ip_literal: true, family }, raw);
});

test('what has no canonical form is refused, with the reason', (t) => {
  for (const [raw, reason] of hostsRefused) {
    const result = canonicalHost(raw);
    t.false(result.ok, raw);
    if (!result.ok) t.regex(result.reason, reason, raw);
  }
});

const spelling = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.domain(),
  fc.ipV4(), fc.ipV4Extended(), fc.ipV6(),
  fc.ipV6().map((address) => `[${address}]`),
  fc.stringMatching(/^[a-zA-Z0-9.xX:[\]%@-]{0,30}$/),
);

test('a canonical host is its own canonical form, and of plain characters only', (t) => {
  fc.assert(fc.property(spelling, (raw) => {
    const once = canonicalHost(raw);
    if (!once.ok) return;
    t.deepEqual(canonicalHost(once.host), once);
    t.regex(once.host, once.family === 6 ? /^[0-9a-f:]+$/ : /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/);
    t.true(once.host.length <= 253);
  }), { numRuns: 2000 });
});

test('what is accepted is the host that a URL parser sees', (t) => {
  fc.assert(fc.property(spelling, (raw) => {
    const result = canonicalHost(raw);
    if (!result.ok) return;
    const inUrl = raw.includes(':') && !raw.startsWith('[') ? `[${raw}]` : raw;
    const { hostname } = new URL(`http://${inUrl}/`);
    t.is(hostname.replace(/^\[|\]$/g, '').replace(/\.$/, ''), result.host);
  }), { numRuns: 2000 });
});

test('an authority is a canonical host and one port', (t) => {
  const table: readonly (readonly [raw: string, fallback: number | undefined, expected: string | false])[] = [
    ['site.example:443', undefined, 'site.example 443'],
    ['site.example', 80, 'site.example 80'],
    ['SITE.example.:8080', 80, 'site.example 8080'],
    ['127.1:80', undefined, '127.0.0.1 80'],
    ['[::1]:443', undefined, '::1 443'],
    ['[::1]', 80, '::1 80'],
    ['site.example:65535', undefined, 'site.example 65535'],
    ['site.example', undefined, false],
    ['site.example:', 80, false],
    ['site.example:0', 80, false],
    ['site.example:080', 80, false],
    ['site.example:65536', 80, false],
    ['site.example:+80', 80, false],
    ['site.example:8 0', 80, false],
    ['site.example:80:90', 80, false],
    ['site.example:80@20.30.40.50:80', 80, false],
    ['user@site.example:80', 80, false],
    ['user:secret@site.example:80', 80, false],
    ['::1', 80, false],
    ['::1:80', undefined, false],
    ['[::1', 80, false],
    ['[::1]x', 80, false],
    ['[::1]x:80', 80, false],
    ['[[::1]]:80', 80, false],
    [':80', 80, false],
    ['', 80, false],
    ['münchen.example:80', 80, false],
    ['m\u00c3\u00bcnchen.example:80', 80, false],
  ];
  for (const [raw, fallback, expected] of table) {
    const result = parseAuthority(raw, fallback);
    t.is(result.ok && `${result.host} ${result.port}`, expected, raw);
  }
});

test('a formatted authority reads back as the same host and port', (t) => {
  fc.assert(fc.property(fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }), (raw, port) => {
    const host = canonicalHost(raw);
    if (!host.ok) return;
    t.deepEqual(parseAuthority(formatAuthority(host.host, port, 80), 80), { ...host, port });
  }));
  t.is(formatAuthority('site.example', 80, 80), 'site.example');
  t.is(formatAuthority('::1', 8080, 80), '[::1]:8080');
});

test('suffixes walk up to the top, and an address has none above it', (t) => {
  t.deepEqual(suffixes('a.b.example'), ['a.b.example', 'b.example', 'example']);
  t.deepEqual(suffixes('example'), ['example']);
  t.deepEqual(suffixes('20.30.40.50'), ['20.30.40.50']);
  t.deepEqual(suffixes('::1'), ['::1']);
});
