import test from 'ava';
import * as fc from 'fast-check';
import { isIPv4, isIPv6 } from 'node:net';
import { classifyAddress, inCidr, parseCidr } from '../../contracts/addresses.ts';
import { addressTable, type AddressClass } from '../../contracts/address-table.ts';
import { formatAddress, parseAddress } from '../../contracts/address-text.ts';

const table: readonly (readonly [address: string, expected: AddressClass])[] = [
  ['20.30.40.50', 'public'], ['8.8.8.8', 'public'], ['1.1.1.1', 'public'], ['223.255.255.255', 'public'],
  ['9.255.255.255', 'public'], ['11.0.0.0', 'public'], ['172.15.255.255', 'public'], ['172.32.0.0', 'public'],
  ['192.167.255.255', 'public'], ['192.169.0.0', 'public'], ['100.63.255.255', 'public'], ['100.128.0.0', 'public'],
  ['126.255.255.255', 'public'], ['128.0.0.0', 'public'], ['169.253.255.255', 'public'], ['169.255.0.0', 'public'],
  ['198.17.255.255', 'public'], ['198.20.0.0', 'public'],
  ['0.0.0.0', 'unspecified'], ['0.0.0.1', 'reserved'], ['0.255.255.255', 'reserved'],
  ['10.0.0.0', 'private'], ['10.255.255.255', 'private'], ['172.16.0.0', 'private'], ['172.31.255.255', 'private'],
  ['192.168.0.0', 'private'], ['192.168.255.255', 'private'],
  ['100.64.0.0', 'cgnat'], ['100.127.255.255', 'cgnat'],
  ['127.0.0.1', 'loopback'], ['127.255.255.255', 'loopback'],
  ['169.254.0.1', 'link_local'], ['169.254.255.255', 'link_local'],
  ['192.0.0.8', 'reserved'], ['192.88.99.1', 'reserved'], ['240.0.0.1', 'reserved'], ['255.255.255.254', 'reserved'],
  ['192.0.2.1', 'documentation'], ['198.51.100.1', 'documentation'], ['203.0.113.1', 'documentation'],
  ['198.18.0.1', 'benchmarking'], ['198.19.255.255', 'benchmarking'],
  ['224.0.0.1', 'multicast'], ['239.255.255.255', 'multicast'], ['255.255.255.255', 'broadcast'],
  ['169.254.169.254', 'metadata'], ['169.254.170.2', 'metadata'], ['100.100.100.200', 'metadata'], ['168.63.129.16', 'metadata'],
  ['192.0.0.9', 'reserved'], ['192.0.0.10', 'reserved'], ['192.0.0.170', 'reserved'], ['192.31.196.1', 'public'], ['192.52.193.1', 'reserved'], ['192.175.48.1', 'public'],
  ['169.254.170.23', 'metadata'], ['169.254.169.253', 'metadata'], ['169.254.0.23', 'metadata'], ['169.254.42.42', 'metadata'], ['100.96.0.96', 'metadata'],
  ['192.0.0.192', 'metadata'], ['168.63.129.17', 'public'], ['100.100.100.201', 'cgnat'],

  ['2620:1234::50', 'public'], ['2a00:1450::1', 'public'], ['2000::', 'public'], ['3ffe::1', 'public'],
  ['::', 'unspecified'], ['::1', 'loopback'], ['::2', 'reserved'], ['1fff:ffff::', 'reserved'], ['4000::', 'reserved'], ['5f00::1', 'reserved'],
  ['100::1', 'reserved'], ['2001:1::1', 'reserved'], ['2001:20::1', 'reserved'], ['2001:200::1', 'public'],
  ['100:0:0:1::1', 'reserved'], ['2001:1::3', 'reserved'], ['2001:3::1', 'reserved'], ['2001:4:112::1', 'public'], ['2001:10::1', 'reserved'], ['2001:30::1', 'reserved'],
  ['2620:4f:8000::1', 'public'], ['5f00:ffff::1', 'reserved'], ['fd00:ec2::23', 'metadata'], ['fd00:c1::a9fe:a9fe', 'metadata'], ['fd00:a9fe:a9fe::1', 'metadata'], ['fd00:42::42', 'metadata'],
  ['2001:2::1', 'benchmarking'], ['2001:db8::1', 'documentation'], ['3fff:fff::1', 'documentation'], ['3fff:1000::', 'public'],
  ['fc00::1', 'unique_local'], ['fdff:ffff::', 'unique_local'], ['fe80::1', 'link_local'], ['febf::1', 'link_local'],
  ['fec0::1', 'private'], ['ff02::1', 'multicast'],
  ['fd00:ec2::254', 'metadata'], ['fd20:ce::254', 'metadata'], ['fe80::a9fe:a9fe', 'metadata'], ['fd00:ec2::255', 'unique_local'],

  // Mapped, compatible, translated.
  ['::ffff:20.30.40.50', 'public'], ['::ffff:127.0.0.1', 'loopback'], ['::ffff:a9fe:a9fe', 'metadata'], ['::ffff:10.0.0.1', 'private'],
  ['::ffff:0.0.0.0', 'unspecified'], ['::127.0.0.1', 'loopback'], ['::169.254.169.254', 'metadata'], ['::20.30.40.50', 'reserved'],
  ['::ffff:0:127.0.0.1', 'loopback'], ['::ffff:0:20.30.40.50', 'reserved'],
  // NAT64.
  ['64:ff9b::20.30.40.50', 'public'], ['64:ff9b::10.1.2.3', 'private'], ['64:ff9b::169.254.169.254', 'metadata'], ['64:ff9b::1:0:0:0', 'reserved'],
  ['64:ff9b:1::20.30.40.50', 'public'], ['64:ff9b:1::10.1.2.3', 'private'],
  ['64:ff9b:1:a9fe:a9:fe00::', 'metadata'], ['64:ff9b:1:7f:0:1::', 'loopback'], ['64:ff9b:2::20.30.40.50', 'reserved'],
  // 6to4, Teredo, ISATAP.
  ['2002:141e:2832::1', 'public'], ['2002:a01:203::1', 'private'], ['2002:7f00:1::1', 'loopback'], ['2002:141e:2832::5efe:10.0.0.1', 'private'],
  ['2001:0:141e:2832:0:0:ebe1:d7cd', 'public'], ['2001:0:141e:2832::f5fe:fdfc', 'private'], ['2001:0:a01:203:0:0:ebe1:d7cd', 'private'],
  ['2620:1234::5efe:10.0.0.1', 'private'], ['2620:1234::200:5efe:169.254.169.254', 'metadata'], ['2620:1234::5efe:20.30.40.50', 'public'],
  ['fd00::5efe:20.30.40.50', 'unique_local'],
];

test('addresses have the class of their block', (t) => {
  for (const [address, expected] of table) t.is(classifyAddress(address)?.address_class, expected, address);
});

test('what is no address has no class', (t) => {
  for (const text of ['', 'a', '1', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', '1.2.3.4/32', ' 1.2.3.4', '1.2.3.4\n', '::1%lo', '[::1]', ':::', '1::2::3', '12345::', '::g', '0x7f.0.0.1', '１.2.3.4']) {
    t.is(classifyAddress(text), undefined, JSON.stringify(text));
  }
});

test('address text is read as Node reads it, and written so that it reads back', (t) => {
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 20 }), fc.stringMatching(/^[0-9a-f:.]{0,24}$/)), (text) => {
    const bytes = parseAddress(text);
    t.is(bytes !== undefined, isIPv4(text) || (isIPv6(text) && !text.includes('%')), text);
    if (bytes === undefined) return;
    t.deepEqual(parseAddress(formatAddress(bytes)), bytes);
    t.is(new URL(`http://${bytes.length === 4 ? text : `[${text}]`}/`).hostname.replace(/^\[|\]$/g, ''), formatAddress(bytes));
  }), { numRuns: 2000 });
});

test('an IPv4 address is never more public inside an IPv6 one than on its own', (t) => {
  const wrap: readonly ((hex: string, text: string) => string)[] = [
    (_, text) => `::ffff:${text}`, (_, text) => `::${text}`, (_, text) => `64:ff9b::${text}`, (_, text) => `64:ff9b:1::${text}`,
    (hex) => `2002:${hex}::1`, (hex) => `2001:0:${hex}::ebe1:d7cd`, (_, text) => `2620:1234::5efe:${text}`,
  ];
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.constantFrom('10.1.2.3', '127.0.0.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '224.0.0.1')), (text) => {
    const [a, b, c, d] = text.split('.').map(Number) as [number, number, number, number];
    const hex = `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
    if (classifyAddress(text)?.address_class === 'public') return;
    for (const each of wrap) t.not(classifyAddress(each(hex, text))?.address_class, 'public', each(hex, text));
  }));
});

test('every row of the table is a block in its one spelling', (t) => {
  for (const [block] of addressTable) {
    const parsed = parseCidr(block);
    t.is(parsed.ok && parsed.cidr.text, block);
  }
  t.is(new Set(addressTable.map(([block]) => block)).size, addressTable.length);
});

test('blocks are parsed strictly', (t) => {
  for (const [text, expected] of [
    ['10.0.0.0/8', '10.0.0.0/8'], ['10.1.2.3', '10.1.2.3/32'], ['0.0.0.0/0', '0.0.0.0/0'], ['10.128.0.0/9', '10.128.0.0/9'],
    ['FD00::/8', 'fd00::/8'], ['::1', '::1/128'], ['::/0', '::/0'], ['fe80::/10', 'fe80::/10'],
    ['10.1.0.0/8', false], ['10.64.0.0/9', false], ['10.0.0.0/33', false], ['10.0.0.0/', false], ['10.0.0.0/08', false],
    ['10.0.0.0/8/8', false], ['10.0.0/8', false], ['site.example/8', false], ['::1/129', false], ['fd00::1/8', false], ['', false], ['/8', false],
  ] as const) {
    const parsed = parseCidr(text);
    t.is(parsed.ok && parsed.cidr.text, expected, text);
  }
  const near = parseCidr('10.1.0.0/8');
  t.true(!near.ok && near.reason.includes('10.0.0.0/8'));
});

test('an address is in a block exactly when its first bits are the block\'s', (t) => {
  const bits = (text: string): string => [...parseAddress(text)!].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(128), (address, base, size) => {
    const whole = parseAddress(base)!;
    const prefix = Math.min(size, whole.length * 8);
    const masked = whole.map((byte, index) => byte & (0xff00 >> Math.max(0, Math.min(8, prefix - index * 8))));
    const parsed = parseCidr(`${formatAddress(masked)}/${prefix}`);
    if (!parsed.ok) return t.fail(parsed.reason);
    const same = bits(address).length === bits(base).length;
    t.is(inCidr(address, parsed.cidr), same && bits(address).slice(0, prefix) === bits(base).slice(0, prefix));
    t.true(inCidr(base, parsed.cidr));
  }));
  const loopback = parseCidr('127.0.0.0/8');
  t.true(loopback.ok && !inCidr('::ffff:127.0.0.1', loopback.cidr) && !inCidr('site.example', loopback.cidr));
});
