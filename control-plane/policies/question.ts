import { classifyAddress } from '../../contracts/addresses.ts';
import type { Act, PolicyInputParts } from '../../contracts/policy-input.ts';
import { formatAuthority, parseAuthority } from '../../contracts/host.ts';
import { judgeTarget } from '../../contracts/path.ts';
import { addressOf, type Judged } from '../../contracts/verdict.ts';
import { invalid } from '../http/validation.ts';
import type { Run } from '../runs/rules.ts';

/** An act that somebody asks about, read as the proxy would read it. */
export interface Question extends Judged {
  readonly act: Extract<Act, 'connect' | 'request'>;
  readonly is_ip_literal: boolean;
  readonly query_keys: readonly string[];
  /** What would go through the tunnel is TLS, into which nobody looks. */
  readonly tls: boolean;
}

const defaultPorts = { http: 80, https: 443 } as const;
const urlForm = /^(https?):\/\/([^/?#]*)([/?][^#]*)?$/i;

/**
 * Without a look at the network. What is https goes through a tunnel, so the tunnel is what is judged. Throws `invalid_request` with
 * the field that is wrong; nothing of a query is repeated, since values there may be secrets.
 */
export function readQuestion(url: string, method: string): Question {
  const wrong = (path: 'url' | 'method', message: string): never => { throw invalid([{ path, message }]); };
  const [, scheme = '', rawAuthority = '', rest = '/'] = urlForm.exec(url) ?? wrong('url', 'must be http://HOST/PATH or https://HOST/');
  const authority = parseAuthority(rawAuthority, defaultPorts[scheme.toLowerCase() as keyof typeof defaultPorts]);
  if (!authority.ok) return wrong('url', `names a host that cannot be used: ${authority.reason}`);
  if (!/^[A-Z][A-Z0-9_-]{0,31}$/.test(method)) return wrong('method', 'must be an HTTP method in capitals, or CONNECT');
  const { host, port, is_ip_literal } = authority;
  const target = judgeTarget(rest.startsWith('/') ? rest : `/${rest}`);
  if (!target.ok) return wrong('url', `has a path that cannot be used: ${target.reason}${target.canonical === undefined ? '' : `; send ${target.canonical.replace(/\?.*/s, '?...')} instead`}`);
  const tls = scheme.toLowerCase() === 'https';
  if (method === 'CONNECT' || tls) return tunnelTo({ host, port, is_ip_literal, tls });
  return { act: 'request', host, port, is_ip_literal, tls, method, path: target.path, query_keys: target.query_keys };
}

function tunnelTo(to: Pick<Question, 'host' | 'port' | 'is_ip_literal' | 'tls'>): Question {
  return { act: 'connect', ...to, method: 'CONNECT', path: undefined, query_keys: [] };
}

const internalHost = 'sallyport.internal';

export function isInternal({ host, port }: Question): boolean {
  return host === internalHost && port === 80;
}

/** What policy is to decide on: the same that a proxy would say of it, before any name is looked up. */
export function partsOf(question: Question, run: Run, now_ms: number): PolicyInputParts {
  const { act, host, port, is_ip_literal, method, path, query_keys } = question;
  const own = host === internalHost || host.endsWith(`.${internalHost}`);
  const address_class = own ? 'self' : is_ip_literal ? classifyAddress(host)?.address_class : undefined;
  return {
    act,
    run: { id: run.run_id, session_id: run.session_id, agent: run.agent, state: run.state, labels: run.labels, taint: null, policy: run.policy },
    destination: { host, port, is_ip_literal, ...act === 'request' && { scheme: 'http' as const }, ...address_class !== undefined && { address: host, address_class } },
    ...act === 'request' && { request: { method, path: path ?? '/', query_keys, headers: [], body_bytes: 0 } },
    now_ms,
  };
}

/** For a person: `GET http://site.test/a`, or `a tunnel to site.test:443`. */
export function nameOf(question: Question): string {
  return question.act === 'connect' ? `a tunnel to ${formatAuthority(question.host, question.port)}` : `${question.method} ${addressOf(question)}`;
}

const tried = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** What might be allowed where this is not: other methods, and the other of port 80 and 443. */
export function alternativesTo(question: Question): readonly Question[] {
  const { act, host, port, is_ip_literal } = question;
  const plain = (method: string): Question => ({ act: 'request', host, port: act === 'request' ? port : defaultPorts.http, is_ip_literal, tls: false, method, path: question.path ?? '/', query_keys: question.query_keys });
  const tunnels = [...new Set([port, defaultPorts.https])].map((to) => tunnelTo({ host, port: to, is_ip_literal, tls: true }));
  const requests = tried.map(plain);
  const onPort80 = act === 'request' && port !== defaultPorts.http ? [{ ...plain(question.method), port: defaultPorts.http }] : [];
  const same = (one: Question): boolean => one.act === act && one.port === port && one.method === question.method;
  return [...requests, ...onPort80, ...tunnels].filter((one) => !same(one));
}
