import test from 'ava';
import * as fc from 'fast-check';
import { bracketed, parseAllow, type AllowRule } from '../../cli/allow-option.ts';
import { runPolicySchema } from '../../contracts/run-policy.ts';

const accepted: Readonly<Record<string, AllowRule>> = {
  'example.org': { host: 'example.org', ports: [80, 443], methods: ['GET', 'HEAD'], path_prefix: null },
  'Example.ORG.': { host: 'example.org', ports: [80, 443], methods: ['GET', 'HEAD'], path_prefix: null },
  'example.org:80': { host: 'example.org', ports: [80], methods: ['GET', 'HEAD'], path_prefix: null },
  'example.org:80,8080:GET,POST': { host: 'example.org', ports: [80, 8080], methods: ['GET', 'POST'], path_prefix: null },
  'example.org:80,80:GET,GET': { host: 'example.org', ports: [80], methods: ['GET'], path_prefix: null },
  'example.org:GET': { host: 'example.org', ports: [80, 443], methods: ['GET'], path_prefix: null },
  'example.org:*': { host: 'example.org', ports: [80, 443], methods: ['*'], path_prefix: null },
  'example.org:/api': { host: 'example.org', ports: [80, 443], methods: ['GET', 'HEAD'], path_prefix: '/api' },
  'example.org:8080:/a:b': { host: 'example.org', ports: [8080], methods: ['GET', 'HEAD'], path_prefix: '/a:b' },
  'example.org:80:POST:/v1/': { host: 'example.org', ports: [80], methods: ['POST'], path_prefix: '/v1/' },
  'example.org:443:TUNNEL': { host: 'example.org', ports: [443], methods: ['TUNNEL'], path_prefix: null },
  'example.org:443': { host: 'example.org', ports: [443], methods: ['GET', 'HEAD'], path_prefix: null },
  'example.org:80,443:POST': { host: 'example.org', ports: [80, 443], methods: ['POST'], path_prefix: null },
  'example.org:443:GET:/api': { host: 'example.org', ports: [443], methods: ['GET'], path_prefix: '/api' },
  'example.org:TUNNEL': { host: 'example.org', ports: [80, 443], methods: ['TUNNEL'], path_prefix: null },
  '*.example.org:80:*': { host: '*.example.org', ports: [80], methods: ['*'], path_prefix: null },
  '[2001:DB8::1]:80:GET': { host: '2001:db8::1', ports: [80], methods: ['GET'], path_prefix: null },
  '[::1]': { host: '::1', ports: [80, 443], methods: ['GET', 'HEAD'], path_prefix: null },
  '10.1.2.3:80': { host: '10.1.2.3', ports: [80], methods: ['GET', 'HEAD'], path_prefix: null },
  '0x0a.1:80': { host: '10.0.0.1', ports: [80], methods: ['GET', 'HEAD'], path_prefix: null },
  'bücher.example:80': { host: 'xn--bcher-kva.example', ports: [80], methods: ['GET', 'HEAD'], path_prefix: null },
  'example.org:80:PROPFIND,X-OWN': { host: 'example.org', ports: [80], methods: ['PROPFIND', 'X-OWN'], path_prefix: null },
};

const refused: Readonly<Record<string, RegExp>> = {
  '': /is not a host: it is empty/,
  'example.org:TUNNEL:/api': /a tunnel has no path/,
  'example.org:0': /"0" is not a port/,
  'example.org:65536': /"65536" is not a port/,
  'example.org:080': /"080" is not a port/,
  'example.org:80,': /"" is not a port/,
  'example.org:80-90': /"80-90" is not a port/,
  'example.org:': /is empty/,
  'example.org::GET': /is empty/,
  'example.org:80:get': /methods are capitals: GET/,
  'example.org:80:GET,': /neither a list of ports/,
  'example.org:80:CONNECT': /TUNNEL allows it/,
  'example.org:80:*,GET': /"\*" stands alone/,
  'example.org:80:TUNNEL,GET': /"TUNNEL" stands alone/,
  'example.org:GET:80': /"80" is one part too many/,
  'example.org:80:GET:POST': /"POST" is one part too many/,
  'example.org/api': /"\/api" is a path, which comes after a colon: example\.org:\/api/,
  'http://example.org/': /a URL is not taken here/,
  'example.org:80:GET:/a?b': /holds a query/,
  'example.org:80:GET:/a/../b': /is not canonical/,
  'example.org:80:GET:/a/%2E%2e/b': /is not canonical/,
  'example.org:80:GET://a': /is not canonical/,
  'example.org:80:GET:/a b': /a space or a control character/,
  '*': /every host/,
  '*.10.1.2.3': /nothing below an address/,
  '2001:db8::1': /needs brackets: \[2001:db8::1\]/,
  '::1': /needs brackets: \[::1\]/,
  '[2001:db8::1': /bracket .* not closed/,
  '[2001:db8::1]80': /should begin with a colon/,
  'exa mple.org': /a space or control character/,
  'user@example.org': /user information/,
};

for (const [text, rule] of Object.entries(accepted)) {
  test(`--allow ${text} is understood`, (t) => {
    const parsed = parseAllow(text);
    t.deepEqual('mistake' in parsed ? parsed.mistake : parsed.value.rule, rule);
  });
}
for (const [text, reason] of Object.entries(refused)) {
  test(`--allow "${text}" is refused with the part that is wrong`, (t) => {
    const parsed = parseAllow(text);
    t.true('mistake' in parsed, JSON.stringify(parsed));
    if ('mistake' in parsed) t.regex(parsed.mistake, reason);
  });
}

const insides: Readonly<Record<string, string | undefined>> = {
  'example.org:443': 'methods', 'example.org:443:GET': 'the methods "GET"', 'example.org:80,443:GET': 'the methods "GET"', 'example.org:443:GET:/api': 'the path "/api"', '[2001:db8::1]:443:*': 'the methods "*"',
  // Who names no port has not asked for methods on 443.
  'example.org': undefined, 'example.org:GET': undefined, 'example.org:/api': undefined, 'example.org:443:TUNNEL': undefined, 'example.org:80:GET': undefined, 'example.org:8443:GET': undefined,
};
for (const [text, inside] of Object.entries(insides)) {
  test(`--allow ${text} ${inside === undefined ? 'can be held to without a look into TLS' : `asks for ${inside} inside TLS`}`, (t) => {
    const parsed = parseAllow(text);
    t.is('mistake' in parsed ? parsed.mistake : parsed.value.inside, inside);
  });
}

const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6().map((address) => `[${address}]`), fc.domain().map((name) => `*.${name}`));
const ports = fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 16 });
const methods = fc.uniqueArray(fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH'), { minLength: 1 });
const path = fc.array(fc.stringMatching(/^[a-z0-9:_-]{1,8}$/), { maxLength: 4 }).map((segments) => `/${segments.join('/')}`);

test('what is written out in full is read back as it is', (t) => {
  fc.assert(fc.property(host, ports, methods, fc.option(path), (name, numbers, words, prefix) => {
    const parsed = parseAllow(`${name}:${numbers.join(',')}:${words.join(',')}${prefix === null ? '' : `:${prefix}`}`);
    if ('mistake' in parsed) return t.fail(parsed.mistake);
    const { rule } = parsed.value;
    t.deepEqual([rule.ports, rule.methods, rule.path_prefix], [numbers, words, prefix]);
    const again = parseAllow(`${bracketed(rule.host)}:${rule.ports.join(',')}:${rule.methods.join(',')}${prefix === null ? '' : `:${prefix}`}`);
    t.deepEqual(again, parsed);
  }));
});

test('any text is either refused with a reason or gives a rule that the control plane takes, and never throws', (t) => {
  const part = fc.constantFrom(':', '/', '[', ']', '*', '.', ',', '443', '80', 'GET', 'TUNNEL', 'a', '::1', '%2e', ' ', '\n', '-', '0');
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')));
  let good = 0;
  fc.assert(fc.property(text, (value) => {
    const parsed = parseAllow(value);
    if ('mistake' in parsed) return t.true(parsed.mistake.length > 0);
    good++;
    const result = runPolicySchema.safeParse({ allow: [{ id: 'a', ...parsed.value.rule }] });
    t.true(result.success, `${JSON.stringify(value)}: ${result.error?.message}`);
  }), { numRuns: 3000 });
  t.true(good > 0);
});
