import test from 'ava';
import { agentEnvironment } from '../../sandbox/agent-environment.ts';

const of = (env: Record<string, string>): Record<string, string> => agentEnvironment({ env, run_id: 'run_7' });

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

for (const name of ['HTTP_PROXY', 'http_proxy', 'Http_Proxy', 'ALL_PROXY', 'all_proxy', 'ftp_proxy', 'NO_PROXY', 'HOME', 'NODE_USE_ENV_PROXY', 'SALLYPORT_RUN_ID', 'SALLYPORT_TOKEN', 'JAVA_TOOL_OPTIONS']) {
  test(`${name} cannot be said twice`, (t) => {
    t.throws(() => of({ [name]: 'x' }), { code: 'jail_spec', message: new RegExp(name) });
  });
}
