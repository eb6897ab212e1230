import test from 'ava';
import type { JailSpec } from '../../contracts/jail.ts';
import { agentEnvironment } from '../../sandbox/agent-environment.ts';

const of = (env: Record<string, string>, trust?: JailSpec['trust']): Record<string, string> => agentEnvironment({ env, run_id: 'run_7', trust });

test('the agent is led to the proxy by every name that clients read, and to nothing else', (t) => {
  const env = of({});
  for (const name of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy']) t.is(env[name], 'http://127.0.0.1:3128', name);
  for (const name of ['NO_PROXY', 'no_proxy']) t.is(env[name], 'localhost,127.0.0.1,::1', name);
  t.is(env['ALL_PROXY'], undefined);
  t.is(env['NODE_USE_ENV_PROXY'], '1');
  t.is(env['SALLYPORT_RUN_ID'], 'run_7');
  t.is(env['SALLYPORT_URL'], 'http://sallyport.internal');
});

test("a caller's variables are added, and may change the defaults that are only habits", (t) => {
  const env = of({ TOKEN: 'x', TERM: 'xterm', PATH: '/usr/bin', TZ: 'Europe/Berlin' });
  t.is(env['TOKEN'], 'x');
  t.is(env['TERM'], 'xterm');
  t.is(env['PATH'], '/usr/bin');
});

for (const name of ['HTTP_PROXY', 'http_proxy', 'Http_Proxy', 'ALL_PROXY', 'all_proxy', 'ftp_proxy', 'NO_PROXY', 'HOME', 'NODE_USE_ENV_PROXY', 'SALLYPORT_RUN_ID', 'SALLYPORT_TOKEN']) {
  test(`${name} cannot be said twice`, (t) => {
    t.throws(() => of({ [name]: 'x' }), { code: 'jail_spec', message: new RegExp(name) });
  });
}

const trust = { ca: 'pem' };
const ofTrust = [
  'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'PIP_CERT', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'CARGO_HTTP_CAINFO', 'AWS_CA_BUNDLE', 'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
  'DENO_TLS_CA_STORE',
];
for (const name of ofTrust) {
  test(`${name} is the jail's where it trusts us, and the caller's where nobody looks into TLS`, (t) => {
    t.regex(of({}, trust)[name] ?? '', name === 'DENO_TLS_CA_STORE' ? /^system$/ : name === 'NODE_EXTRA_CA_CERTS' ? /^\/etc\/sallyport\/ca\.pem$/ : /^\/etc\/sallyport\/trusted\.pem$/);
    t.throws(() => of({ [name]: '/work/mine.pem' }, trust), { code: 'jail_spec', message: new RegExp(name) });
    t.is(of({})[name], undefined);
    t.is(of({ [name]: '/work/mine.pem' })[name], '/work/mine.pem');
  });
}

test('Java is told by the one variable that every Java reads, and what the caller says there comes after it', (t) => {
  const own = of({})['JAVA_TOOL_OPTIONS'] ?? '';
  t.regex(own, /^-Dhttp\.proxyHost=127\.0\.0\.1 .*-Dhttps\.proxyPort=3128/);
  t.false(own.includes('trustStore'));
  t.is(of({ JAVA_TOOL_OPTIONS: '-Xmx512m -Da="b c"' })['JAVA_TOOL_OPTIONS'], `${own} -Xmx512m -Da="b c"`);
  t.regex(of({ JAVA_TOOL_OPTIONS: '-Xmx512m' }, trust)['JAVA_TOOL_OPTIONS'] ?? '', / -Djavax\.net\.ssl\.trustStore=\/etc\/sallyport\/cacerts .* -Xmx512m$/);
});

test('what the jail tells Java cannot be told again', (t) => {
  for (const theirs of ['-Dhttps.proxyHost=elsewhere.test', '-Xmx1g -Dhttp.nonProxyHosts=*']) t.throws(() => of({ JAVA_TOOL_OPTIONS: theirs }), { code: 'jail_spec', message: /JAVA_TOOL_OPTIONS/ });
  const store = '-Djavax.net.ssl.trustStore=/work/store';
  t.throws(() => of({ JAVA_TOOL_OPTIONS: store }, trust), { code: 'jail_spec', message: /trustStore/ });
  t.true(of({ JAVA_TOOL_OPTIONS: store })['JAVA_TOOL_OPTIONS']?.endsWith(store));
});
