import { SallyportError } from '../contracts/errors.ts';
import type { JailSpec } from '../contracts/jail.ts';

const proxyHost = '127.0.0.1';
const proxyPort = 3128;
export const agentHome = '/home/agent';
/** Where the jail keeps the Node that it starts with. */
export const toolsFolder = '/opt/sallyport';

const proxyUrl = `http://${proxyHost}:${proxyPort}`;
const notProxied = 'localhost,127.0.0.1,::1';

/** A caller may say otherwise for these. */
const defaults: Readonly<Record<string, string>> = {
  // Ours first: the Node of many machines is older than 24 and cannot be told by a variable to use a proxy.
  PATH: `${toolsFolder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  TERM: 'dumb',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
};

const fixed: Readonly<Record<string, string>> = {
  HOME: agentHome,
  USER: 'agent',
  LOGNAME: 'agent',
  SHELL: '/bin/sh',
  HTTP_PROXY: proxyUrl,
  // curl reads this one in lower case alone; others only the upper one.
  http_proxy: proxyUrl,
  HTTPS_PROXY: proxyUrl,
  https_proxy: proxyUrl,
  // A server that the agent starts for itself is reached directly.
  NO_PROXY: notProxied,
  no_proxy: notProxied,
  NODE_USE_ENV_PROXY: '1',
  JAVA_TOOL_OPTIONS: [
    `-Dhttp.proxyHost=${proxyHost}`, `-Dhttp.proxyPort=${proxyPort}`, `-Dhttps.proxyHost=${proxyHost}`, `-Dhttps.proxyPort=${proxyPort}`,
    '-Dhttp.nonProxyHosts=localhost|127.*|[::1]',
  ].join(' '),
  // /usr is the host's, and its global npm settings may name registries or tokens of the host.
  npm_config_globalconfig: '/dev/null',
  SALLYPORT_URL: 'http://sallyport.internal',
};

/** Some clients take a proxy of any of these, in either case. */
const reserved = /^(?:(?:http|https|all|ftp|no)_proxy|sallyport_.*)$/i;

/** The agent's whole environment. Throws `jail_spec` where `env` says again what the jail says. */
export function agentEnvironment({ env, run_id }: Pick<JailSpec, 'env' | 'run_id'>): Record<string, string> {
  const own = { ...fixed, SALLYPORT_RUN_ID: run_id };
  const again = Object.keys(env).filter((name) => Object.hasOwn(own, name) || reserved.test(name));
  if (again.length > 0) {
    throw new SallyportError('jail_spec', `These variables are the jail's own and cannot be set again: ${again.join(', ')}.`, {
      errors: again.map((name) => ({ path: `env.${name}`, message: 'is set by the jail' })),
    });
  }
  return { ...defaults, ...env, ...own };
}
