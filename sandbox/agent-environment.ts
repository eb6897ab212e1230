import { SallyportError } from '../contracts/errors.ts';
import type { JailSpec } from '../contracts/jail.ts';
import { trustJavaOptions, trustVariables } from './trust/variables.ts';

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
  // /usr is the host's, and its global npm settings may name registries or tokens of the host.
  npm_config_globalconfig: '/dev/null',
  SALLYPORT_URL: 'http://sallyport.internal',
};

/** `JAVA_TOOL_OPTIONS`, the only way to tell every Java; what the caller has there comes after it. */
const javaOptions: readonly string[] = [
  `-Dhttp.proxyHost=${proxyHost}`, `-Dhttp.proxyPort=${proxyPort}`, `-Dhttps.proxyHost=${proxyHost}`, `-Dhttps.proxyPort=${proxyPort}`,
  '-Dhttp.nonProxyHosts=localhost|127.*|[::1]',
];

/** Some clients take a proxy of any of these, in either case. */
const reserved = /^(?:(?:http|https|all|ftp|no)_proxy|sallyport_.*)$/i;

/** The agent's whole environment. Throws `jail_spec` where `env` says again what the jail says. */
export function agentEnvironment({ env, run_id, trust }: Pick<JailSpec, 'env' | 'run_id' | 'trust'>): Record<string, string> {
  const trusting = trust === undefined ? {} : trustVariables;
  const options = trust === undefined ? javaOptions : [...javaOptions, ...trustJavaOptions];
  const { JAVA_TOOL_OPTIONS: theirs = '', ...others } = env;
  const own = { ...fixed, ...trusting, SALLYPORT_RUN_ID: run_id };
  const again = Object.keys(others).filter((name) => Object.hasOwn(own, name) || reserved.test(name));
  if (again.length > 0) {
    const isOfTrust = again.some((name) => Object.hasOwn(trusting, name));
    throw new SallyportError('jail_spec', `These variables are the jail's own and cannot be set again: ${again.join(', ')}.`, {
      errors: again.map((name) => ({ path: `env.${name}`, message: 'is set by the jail' })),
      ...isOfTrust && { next_steps: ['The jail trusts what looks into TLS by them. Leave them out, or let nobody look: --no-intercept.'] },
    });
  }
  const told = options.map((option) => option.slice(0, option.indexOf('='))).filter((property) => theirs.includes(`${property}=`));
  if (told.length > 0) {
    throw new SallyportError('jail_spec', `JAVA_TOOL_OPTIONS says again what the jail says: ${told.join(', ')}.`, {
      errors: [{ path: 'env.JAVA_TOOL_OPTIONS', message: `${told.join(', ')}: set by the jail` }],
    });
  }
  return { ...defaults, ...others, ...own, JAVA_TOOL_OPTIONS: [...options, ...theirs === '' ? [] : [theirs]].join(' ') };
}
