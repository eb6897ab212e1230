import { classifyAddress } from '../../contracts/addresses.ts';
import type { Act, PolicyInputParts } from '../../contracts/policy-input.ts';
import { formatAuthority, parseAuthority } from '../../contracts/host.ts';
import { judgeTarget } from '../../contracts/path.ts';
import { speaksOf, type RunPolicy } from '../../contracts/run-policy.ts';
import { addressOf, type Judged } from '../../contracts/verdict.ts';
import { invalid } from '../http/validation.ts';
import type { Run } from '../runs/rules.ts';

/** An act that somebody asks about, read as the proxy would read it. */
export interface Question extends Judged {
  readonly act: Extract<Act, 'connect' | 'request'>;
  readonly is_ip_literal: boolean;
  readonly query_keys: readonly string[];
  /** Of what is asked for, or would go through the tunnel. */
  readonly scheme: 'http' | 'https';
}

const defaultPorts = { http: 80, https: 443 } as const;
const urlForm = /^(https?):\/\/([^/?#]*)([/?][^#]*)?$/i;

/**
 * Without a look at the network. Throws `invalid_request` with the field that is wrong; nothing of a query is repeated, since values
 * there may be secrets.
 */
export function readQuestion(url: string, method: string): Question {
  const wrong = (path: 'url' | 'method', message: string): never => { throw invalid([{ path, message }]); };
  const [, rawScheme = '', rawAuthority = '', rest = '/'] = urlForm.exec(url) ?? wrong('url', 'must be http://HOST/PATH or https://HOST/');
  const scheme = rawScheme.toLowerCase() as Question['scheme'];
  const authority = parseAuthority(rawAuthority, defaultPorts[scheme]);
  if (!authority.ok) return wrong('url', `names a host that cannot be used: ${authority.reason}`);
  if (!/^[A-Z][A-Z0-9_-]{0,31}$/.test(method)) return wrong('method', 'must be an HTTP method in capitals, or CONNECT');
  const { host, port, is_ip_literal } = authority;
  const target = judgeTarget(rest.startsWith('/') ? rest : `/${rest}`);
  if (!target.ok) return wrong('url', `has a path that cannot be used: ${target.reason}${target.canonical === undefined ? '' : `; send ${target.canonical.replace(/\?.*/s, '?...')} instead`}`);
  const to = { host, port, is_ip_literal, scheme };
  return method === 'CONNECT' ? tunnelTo(to) : { act: 'request', ...to, method, path: target.path, query_keys: target.query_keys };
}

/** What has to be opened first for a request in TLS. */
export function tunnelTo({ host, port, is_ip_literal, scheme }: Pick<Question, 'host' | 'port' | 'is_ip_literal' | 'scheme'>): Question {
  return { act: 'connect', host, port, is_ip_literal, scheme, method: 'CONNECT', path: undefined, query_keys: [] };
}

const internalHost = 'sallyport.internal';

export function isInternal({ host, port }: Question): boolean {
  return host === internalHost && port === 80;
}

/** What policy is to decide on: the same that a proxy would say of it, before any name is looked up. */
export function partsOf(question: Question, run: Run, now_ms: number): PolicyInputParts {
  const { act, scheme, host, port, is_ip_literal, method, path, query_keys } = question;
  const own = host === internalHost || host.endsWith(`.${internalHost}`);
  const address_class = own ? 'self' : is_ip_literal ? classifyAddress(host)?.address_class : undefined;
  return {
    act,
    run: { id: run.run_id, session_id: run.session_id, agent: run.agent, state: run.state, labels: run.labels, taint: null, policy: run.policy },
    destination: { host, port, is_ip_literal, ...act === 'request' && { scheme }, ...address_class !== undefined && { address: host, address_class } },
    ...act === 'request' && { request: { method, path: path ?? '/', query_keys, headers: [], body_bytes: 0 } },
    ...act === 'request' && scheme === 'https' && { tls: { ...!is_ip_literal && { sni: host }, intercepted: true } },
    now_ms,
  };
}

/** For a person: `GET http://site.test/a`, or `a tunnel to site.test:443`. */
export function nameOf(question: Question): string {
  return question.act === 'connect' ? `a tunnel to ${formatAuthority(question.host, question.port)}` : `${question.method} ${addressOf(question)}`;
}

const tried = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** What might be allowed where this is not: other methods, the same in clear text, and a tunnel. */
export function alternativesTo(question: Question): readonly Question[] {
  const { act, host, port, is_ip_literal, scheme, query_keys } = question;
  const path = question.path ?? '/';
  const clear = { act: 'request', host, port: act === 'request' && scheme === 'http' ? port : defaultPorts.http, is_ip_literal, scheme: 'http', path, query_keys } as const;
  const requests = [...act === 'request' && scheme === 'https' ? [{ ...clear, scheme, port }] : [], clear].flatMap((one) => tried.map((method) => ({ ...one, method })));
  const onPort80 = clear.port === defaultPorts.http ? [] : [{ ...clear, port: defaultPorts.http, method: question.method }];
  const tunnels = [...new Set([port, defaultPorts.https])].map((to) => tunnelTo({ host, port: to, is_ip_literal, scheme: 'https' }));
  const same = (one: Question): boolean => one.act === act && one.scheme === scheme && one.port === port && one.method === question.method;
  return [...requests, ...onPort80, ...tunnels].filter((one) => !same(one));
}

/** Each is judged, which an agent may ask for as often as it likes. */
const otherPathsMax = 24;

/** Other paths of the same host and port, where the run's own entries name one. */
export function otherPathsOf({ host, port, is_ip_literal, scheme, act, path }: Question, { allow }: Pick<RunPolicy, 'allow'>): readonly Question[] {
  if (act === 'connect') return [];
  const ofHost = allow.filter((entry) => speaksOf(entry, host) && entry.ports.includes(port) && entry.methods[0] !== 'TUNNEL');
  return ofHost.flatMap(({ methods, path_prefix }) => {
    const target = judgeTarget(path_prefix ?? '/');
    if (!target.ok || target.path === path) return [];
    return methods.map((method) => ({ act, host, port, is_ip_literal, scheme, method: method === '*' ? 'GET' : method, path: target.path, query_keys: [] }));
  }).slice(0, otherPathsMax);
}
