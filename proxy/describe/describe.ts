import { SallyportError } from '../../contracts/errors.ts';
import { formatAuthority, parseAuthority, type Authority } from '../../contracts/host.ts';
import { judgeTarget } from '../../contracts/path.ts';
import { policyInputLimits } from '../../contracts/policy-input.ts';
import type { Exchange, InsideTls, RequestHead } from '../exchange.ts';
import { Remembered } from '../remembered.ts';
import { credentialOf } from './credential-signal.ts';
import type { Egress } from './egress.ts';
import { isOwnName } from './own-addresses.ts';
import { upgradeOf } from './upgrade.ts';

const httpPort = 80;
const httpsPort = 443;
/** Clients of web sockets name them by their own scheme, which differs in nothing else. */
const absoluteForm = /^(?:http|ws):\/\/([^/?#]*)([/?][^#]*)?$/i;

/**
 * The one reading of an exchange's target. Throws `ambiguous_target`, `path_not_canonical` or `not_supported`; a `Host` that
 * names another place is left for policy to deny (`core.host_mismatch`).
 */
export function describe({ head, form }: Exchange): Egress {
  switch (form.kind) {
    case 'connect': return tunnel(head);
    case 'absolute': return absolute(head);
    case 'inside': return request('inside', head, authorityOf(form.authority, undefined), head.target, undefined, form.tls);
  }
}

function tunnel(head: RequestHead): Egress {
  const authority = authorityOf(head.target, undefined);
  const { host, port, is_ip_literal } = authority;
  return {
    act: 'connect', form: 'connect', method: 'CONNECT', host, port, is_ip_literal, scheme: undefined, tls: undefined,
    authority: formatAuthority(host, port), path: undefined, target: undefined, query_keys: [], headers: head.headers,
    credential: 'none', host_mismatch: mismatch(head, authority, head.target, port), own_name: isOwnName(host), body_bytes: undefined, upgrade: undefined,
  };
}

function absolute(head: RequestHead): Egress {
  const [, authority, rest] = absoluteForm.exec(head.target) ?? [];
  if (authority === undefined) throw new SallyportError('ambiguous_target', 'The target is not an address such as http://HOST/PATH.');
  // RFC 9110, section 4.2.3: an empty path is the path /.
  const target = rest === undefined ? '/' : rest.startsWith('/') ? rest : `/${rest}`;
  return request('absolute', head, authorityOf(authority, httpPort), target, authority);
}

function request(form: 'absolute' | 'inside', head: RequestHead, authority: Authority, target: string, raw?: string, tls?: InsideTls): Egress {
  const defaultPort = tls === undefined ? httpPort : httpsPort;
  const judged = judgeTarget(target);
  if (!judged.ok) {
    throw new SallyportError(judged.code, `The target cannot be used: ${judged.reason}.`, judged.canonical === undefined ? {} : { next_steps: [`Send ${printable(judged.canonical)} instead.`] });
  }
  if (judged.query_keys.some((key) => key.length > policyInputLimits.query_key)) {
    throw new SallyportError('not_supported', `The request has a longer query key than the ${policyInputLimits.query_key} characters that policy can look at.`);
  }
  const { host, port, is_ip_literal } = authority;
  return {
    act: 'request', form, method: head.method, host, port, is_ip_literal, scheme: tls === undefined ? 'http' : 'https', tls,
    authority: formatAuthority(host, port, defaultPort), path: judged.path, target, query_keys: judged.query_keys, headers: head.headers,
    credential: credentialOf(head.headers, judged.query_keys),
    host_mismatch: mismatch(head, authority, raw, defaultPort), own_name: isOwnName(host),
    body_bytes: head.framing.kind === 'length' ? head.framing.bytes : head.framing.kind === 'none' ? 0 : undefined,
    upgrade: upgradeOf(head),
  };
}

/** Reading one takes 3 us, and an agent names few: what was read is kept, under its own spelling. */
const authorities = new Remembered<Authority>();
const longestKept = 300;

function authorityOf(raw: string, defaultPort: number | undefined): Authority {
  const key = `${defaultPort} ${raw}`;
  const known = authorities.get(key);
  if (known !== undefined) return known;
  const authority = readAuthority(raw, defaultPort);
  if (raw.length <= longestKept) authorities.set(key, authority);
  return authority;
}

function readAuthority(raw: string, defaultPort: number | undefined): Authority {
  const authority = parseAuthority(raw, defaultPort);
  if (!authority.ok) throw new SallyportError('ambiguous_target', `The host ${printable(raw)} cannot be used: ${authority.reason}.`);
  return authority;
}

/** `raw` is the target's own spelling: where `Host` repeats it, there is nothing to compare. */
function mismatch(head: RequestHead, { host, port }: Authority, raw: string | undefined, defaultPort: number): boolean {
  const value = hostField(head);
  // Only HTTP/1.0 may leave it out, and then the target says it all.
  if (value === undefined || value === raw) return false;
  const named = authorityOf(value, defaultPort);
  return named.host !== host || named.port !== port;
}

function hostField({ headers }: RequestHead): string | undefined {
  let value: string | undefined;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue;
    if (value !== undefined) throw new SallyportError('ambiguous_target', 'There are two Host fields.');
    value = headers[index + 1]!;
  }
  return value;
}

const longestShown = 200;

/** Text from the agent in a sentence of ours: quoted, escaped and cut. */
function printable(text: string): string {
  return JSON.stringify(text.length > longestShown ? `${text.slice(0, longestShown)}...` : text);
}
