import test from 'ava';
import { indexRules, readProxyUrl, ruleOf, upstreamProxiesSchema, type UpstreamProxyRule } from '../../contracts/upstream-proxies.ts';

const rule = (...hosts: readonly string[]): UpstreamProxyRule => ({ hosts: [...hosts], proxy: 'direct', resolve: 'here' });

test('the first rule that names a host decides', (t) => {
  const index = indexRules([rule('a.corp.test', '20.0.0.1'), rule('*.corp.test'), rule('*.b.corp.test', 'a.corp.test'), rule('*'), rule('late.test')]);
  for (const [host, position] of [['a.corp.test', 0], ['b.corp.test', 1], ['x.b.corp.test', 1], ['corp.test', 3], ['acorp.test', 3], ['20.0.0.1', 0], ['20.0.0.2', 3], ['::1', 3], ['late.test', 3]] as const) {
    t.is(ruleOf(index, host), position, host);
  }
  t.is(ruleOf(indexRules([rule('a.test')]), 'b.test'), undefined);
});

test('the address of a proxy is a host and a port, and nothing else', (t) => {
  t.deepEqual(readProxyUrl('http://Proxy.Corp.test:3128/'), { host: 'proxy.corp.test', port: 3128 });
  t.deepEqual(readProxyUrl('http://[fd00::1]:8080'), { host: 'fd00::1', port: 8080 });
  for (const text of ['', 'proxy.corp.test:3128', 'https://proxy.corp.test:3128', 'http://proxy.corp.test', 'http://u:p@proxy.corp.test:3128', 'http://proxy.corp.test:3128/x', 'socks5://proxy.corp.test:1080', 'http://:3128']) {
    t.is(typeof readProxyUrl(text), 'string', text);
  }
});

test('rules are read strictly, and every mistake has its place', (t) => {
  const parsed = upstreamProxiesSchema.safeParse([
    { hosts: ['*.corp.test', '*'], proxy: 'http://proxy.corp.test:3128', resolve: 'there', credentials: 'user:pass word' },
    { hosts: [], proxy: 'direct' }, { hosts: ['Corp.test'], proxy: 'direct' }, { hosts: ['*'], proxy: 'https://p.test:1' }, { hosts: ['*'], proxy: 'direct', resolve: 'there' },
    { hosts: ['*'], proxy: 'http://p.test:1', credentials: 'nocolon' }, { hosts: ['*'], proxy: 'http://p.test:1', credentials: 'a:b\r\nX: y' }, { hosts: ['*'], proxy: 'direct', extra: 1 },
  ]);
  t.deepEqual(parsed.error?.issues.map(({ path }) => path.join('.')), ['1.hosts', '2.hosts.0', '3.proxy', '4.proxy', '5.credentials', '6.credentials', '7']);
});
