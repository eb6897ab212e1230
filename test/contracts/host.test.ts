import test from 'ava';
import * as fc from 'fast-check';
import { canonicalHost, formatAuthority, parseAuthority, suffixes } from '../../contracts/host.ts';

const names: readonly (readonly [raw: string, host: string])[] = [
  ['example', 'example'],
  ['api.site.example', 'api.site.example'],
  ['API.Site.EXAMPLE', 'api.site.example'],
  ['site.example.', 'site.example'],
  ['localhost', 'localhost'],
  ['a_b.test', 'a_b.test'],
  ['-a.test', '-a.test'],
  ['r3---sn.example', 'r3---sn.example'],
  ['ab--cd.example', 'ab--cd.example'],
  ['1.example', '1.example'],
  ['1a.2b', '1a.2b'],
  ['münchen.example', 'xn--mnchen-3ya.example'],
  ['MÜNCHEN.example', 'xn--mnchen-3ya.example'],
  ['mu\u0308nchen.example', 'xn--mnchen-3ya.example'],
  ['xn--mnchen-3ya.example', 'xn--mnchen-3ya.example'],
  ['XN--MNCHEN-3YA.example', 'xn--mnchen-3ya.example'],
  ['straße.example', 'xn--strae-oqa.example'],
  ['☃.example', 'xn--n3h.example'],
  ['例え.テスト', 'xn--r8jz45g.xn--zckzah'],
  ['ſite.example', 'site.example'],
  ['①.test', '1.test'],
  ['ｓｉｔｅ.example', 'site.example'],
  ['site。example', 'site.example'],
  ['si\u00adte.example', 'site.example'],
  [`${'a'.repeat(63)}.test`, `${'a'.repeat(63)}.test`],
];

const addresses: readonly (readonly [raw: string, host: string, family: 4 | 6])[] = [
  ['20.30.40.50', '20.30.40.50', 4],
  ['20.30.40.50.', '20.30.40.50', 4],
  ['127.1', '127.0.0.1', 4],
  ['1.2.3', '1.2.0.3', 4],
  ['0', '0.0.0.0', 4],
  ['0x', '0.0.0.0', 4],
  ['2130706433', '127.0.0.1', 4],
  ['0x7f000001', '127.0.0.1', 4],
  ['0X7F.0X1', '127.0.0.1', 4],
  ['017700000001', '127.0.0.1', 4],
  ['0177.0.0.1', '127.0.0.1', 4],
  ['0251.0376.0251.0376', '169.254.169.254', 4],
  ['0xa9.254.0251.254', '169.254.169.254', 4],
  ['4294967295', '255.255.255.255', 4],
  ['１２７.0.0.1', '127.0.0.1', 4],
  ['①②⑦.0.0.1', '127.0.0.1', 4],
  ['169。254。169。254', '169.254.169.254', 4],
  ['[::1]', '::1', 6],
  ['::1', '::1', 6],
  ['::', '::', 6],
  ['[0:0:0:0:0:0:0:1]', '::1', 6],
  ['[2001:DB8:0:0:1:0:0:1]', '2001:db8::1:0:0:1', 6],
  ['[2001:db8:0:1:1:1:1:1]', '2001:db8:0:1:1:1:1:1', 6],
  ['[1:0:0:2:0:0:0:3]', '1:0:0:2::3', 6],
  ['[::ffff:127.0.0.1]', '::ffff:7f00:1', 6],
  ['[::FFFF:7F00:0001]', '::ffff:7f00:1', 6],
  ['[64:ff9b::169.254.169.254]', '64:ff9b::a9fe:a9fe', 6],
  ['fe80::1', 'fe80::1', 6],
];

const refused: readonly (readonly [raw: string, reason: RegExp])[] = [
  ['', /empty/],
  ['.', /empty label/],
  ['a..b', /empty label/],
  ['.a', /empty label/],
  ['a..', /empty label/],
  ['1.2.3.4..', /./],
  ['a b', /space/],
  ['a\tb', /space or control/],
  ['a\r\nb', /control/],
  ['a\0b', /control/],
  ['a\u007fb', /control/],
  ['a\u00a0b', /space/],
  ['a%2eb', /"%"/],
  ['%61.example', /"%"/],
  ['a％2eb', /neither/],
  ['user@site.example', /user information/],
  ['site.example@20.30.40.50', /user information/],
  ['a/b', /"\/"/],
  ['a／b', /neither/],
  ['a\\b', /"\\\\"/],
  ['a?b', /"\?"/],
  ['a#b', /"#"/],
  ['a:80', /":"/],
  ['1.2.3.4:80', /":"/],
  ['a*b', /label/],
  ['*.example', /label/],
  ['a,b', /label/],
  ['"a"', /label/],
  ['256.256.256.256', /neither/],
  ['1.2.3.4.5', /neither/],
  ['4294967296', /neither/],
  ['0x100000000', /neither/],
  ['09', /neither/],
  ['0.0.0.0x100', /neither/],
  ['site.1', /neither/],
  ['site.0x1', /neither/],
  ['site.1.', /neither/],
  ['xn--', /not the encoding/],
  ['xn--a', /not the encoding/],
  ['XN--A.example', /not the encoding/],
  ['a\u200db.test', /neither/],
  ['[::1', /bracket/],
  ['[::1].', /bracket/],
  ['[::1]a', /bracket/],
  ['[1.2.3.4]', /not an IPv6/],
  ['[a.example]', /not an IPv6/],
  ['[]', /not an IPv6/],
  ['[::1%eth0]', /zone/],
  ['[fe80::1%25eth0]', /zone/],
  ['fe80::1%1', /zone/],
  ['1::2::3', /not an IPv6/],
  ['1:2:3:4:5:6:7', /not an IPv6/],
  ['1:2:3:4:5:6:7:8:9', /not an IPv6/],
  ['1:2:3:4:5:6:7::8', /not an IPv6/],
  ['::12345', /not an IPv6/],
  ['::1.2.3', /not an IPv6/],
  ['::1.2.3.256', /not an IPv6/],
  ['::01.2.3.4', /not an IPv6/],
  [`${'a'.repeat(64)}.test`, /63/],
  [`${'a.'.repeat(127)}b`, /253/],
  ['a'.repeat(2000), /1024/],
];

test('names have one spelling', (t) => {
  for (const [raw, host] of names) t.deepEqual(canonicalHost(raw), { ok: true, host, is_ip_literal: false }, raw);
});

test('every spelling of an address becomes that address', (t) => {
  for (const [raw, host, family] of addresses) t.deepEqual(canonicalHost(raw), { ok: true, host, is_ip_literal: true, family }, raw);
});

test('what has no canonical form is refused, with the reason', (t) => {
  for (const [raw, reason] of refused) {
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
