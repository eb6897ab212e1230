import test from 'ava';
import { runPolicySchema } from '../../contracts/run-policy.ts';

const entry = { id: 'a1', host: 'site.example', ports: [443], methods: ['GET'] };

test('an empty policy allows nothing and enforces', (t) => {
  t.deepEqual(runPolicySchema.parse({}), { packs: [], allow: [], allow_addresses: [], resolve: [], params: {}, mode: 'enforce', intercept: false });
});

const accepted: readonly [title: string, policy: object][] = [
  ['an exact host', { allow: [entry] }],
  ['a suffix', { allow: [{ ...entry, host: '*.site.example' }] }],
  ['an IPv4 address', { allow: [{ ...entry, host: '192.0.2.1' }] }],
  ['an IPv6 address without brackets', { allow: [{ ...entry, host: '2001:db8::1' }] }],
  ['a tunnel', { allow: [{ ...entry, methods: ['TUNNEL'] }] }],
  ['any method below a path', { allow: [{ ...entry, methods: ['*'], path_prefix: '/api/' }] }],
  ['ranges of both families', { allow_addresses: ['10.0.0.0/8', 'fd00::/8', '192.0.2.1/32'] }],
  ['a resolved name', { resolve: [{ host: 'site.example', port: 443, address: '2001:db8::1' }] }],
  ['nested parameters', { params: { github: { repositories: [{ name: 'a', write: true }] } } }],
];
for (const [title, policy] of accepted) {
  test(`accepted: ${title}`, (t) => {
    t.true(runPolicySchema.safeParse(policy).success);
  });
}

const refused: readonly [title: string, policy: object, path: string][] = [
  ['an unknown key', { alow: [] }, ''],
  ['an unknown key of an entry', { allow: [{ ...entry, port: 443 }] }, 'allow.0'],
  ['a host in capitals', { allow: [{ ...entry, host: 'Site.example' }] }, 'allow.0.host'],
  ['a host with a final dot', { allow: [{ ...entry, host: 'site.example.' }] }, 'allow.0.host'],
  ['another spelling of an address', { allow: [{ ...entry, host: '0x7f.1' }] }, 'allow.0.host'],
  ['an IPv6 address in brackets', { allow: [{ ...entry, host: '[2001:db8::1]' }] }, 'allow.0.host'],
  ['a star inside a host', { allow: [{ ...entry, host: 'a.*.example' }] }, 'allow.0.host'],
  ['a suffix of an address', { allow: [{ ...entry, host: '*.2.3.4' }] }, 'allow.0.host'],
  ['everything', { allow: [{ ...entry, host: '*' }] }, 'allow.0.host'],
  ['no port', { allow: [{ ...entry, ports: [] }] }, 'allow.0.ports'],
  ['port 0', { allow: [{ ...entry, ports: [0] }] }, 'allow.0.ports.0'],
  ['a method in small letters', { allow: [{ ...entry, methods: ['get'] }] }, 'allow.0.methods.0'],
  ['a star beside methods', { allow: [{ ...entry, methods: ['GET', '*'] }] }, 'allow.0.methods'],
  ['a tunnel beside methods', { allow: [{ ...entry, methods: ['GET', 'TUNNEL'] }] }, 'allow.0.methods'],
  ['a tunnel with a path', { allow: [{ ...entry, methods: ['TUNNEL'], path_prefix: '/a' }] }, 'allow.0.path_prefix'],
  ['a relative path', { allow: [{ ...entry, path_prefix: 'api' }] }, 'allow.0.path_prefix'],
  ['a path with a query', { allow: [{ ...entry, path_prefix: '/a?b' }] }, 'allow.0.path_prefix'],
  ['the same id twice', { allow: [entry, entry] }, 'allow'],
  ['an address that is no range', { allow_addresses: ['10.0.0.1'] }, 'allow_addresses.0'],
  ['a range of too many bits', { allow_addresses: ['10.0.0.0/33'] }, 'allow_addresses.0'],
  ['a range with leading zeros', { allow_addresses: ['10.0.0.0/08'] }, 'allow_addresses.0'],
  ['a name to resolve that is an address', { resolve: [{ host: '192.0.2.1', port: 443, address: '192.0.2.2' }] }, 'resolve.0.host'],
  ['too many packs', { packs: Array.from({ length: 33 }, (_, i) => `pack${i}`) }, 'packs'],
  ['a pack name that is a path', { packs: ['../core'] }, 'packs.0'],
  ['parameters that are too large', { params: { a: { text: 'x'.repeat(8192) } } }, 'params'],
  ['parameters that are too deep', { params: { a: { b: { c: { d: { e: { f: { g: { h: { i: 1 } } } } } } } } } }, 'params'],
];
for (const [title, policy, path] of refused) {
  test(`refused: ${title}`, (t) => {
    const result = runPolicySchema.safeParse(policy);
    t.false(result.success);
    t.is(result.error!.issues[0]!.path.join('.'), path);
  });
}
