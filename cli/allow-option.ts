import { canonicalHost } from '../contracts/host.ts';
import type { AllowEntry } from '../contracts/run-policy.ts';
import { runPolicyLimits } from '../contracts/run-policy-limits.ts';
import type { Parsed } from './budget-option.ts';

const defaultPorts: readonly number[] = [80, 443];
const defaultMethods: readonly string[] = ['GET', 'HEAD'];

/** What comes through there is TLS: nothing inside can be judged but where it is looked into. */
const tlsPort = 443;

export type AllowRule = Omit<AllowEntry, 'id'>;

export interface AllowOption {
  readonly rule: AllowRule;
  /** The part that only a look into TLS can judge, as `the methods "GET"`; undefined where port 443 was not asked for by its number. */
  readonly inside: string | undefined;
}

/**
 * `HOST[:PORTS][:METHODS][:PATH]`. Each part may be left out; they are told apart by how they begin (a digit, a capital or `*`,
 * a slash), so `example.org:GET` and `example.org:8080:/api` are clear. The path takes the rest, colons included.
 */
export function parseAllow(text: string): Parsed<AllowOption> {
  const cut = splitHost(text);
  if ('mistake' in cut) return cut;
  const { hostText, rest } = cut.value;
  const host = parseHost(hostText);
  if ('mistake' in host) return host;
  const parts = splitParts(rest);
  if ('mistake' in parts) return parts;
  const { ports: portsText, methods: methodsText, path } = parts.value;
  const ports = portsText === undefined ? { value: defaultPorts } : parsePorts(portsText);
  if ('mistake' in ports) return ports;
  const methods = methodsText === undefined ? { value: defaultMethods } : parseMethods(methodsText);
  if ('mistake' in methods) return methods;

  const tunnel = methods.value[0] === 'TUNNEL';
  if (tunnel && path !== undefined) return { mistake: `a tunnel has no path, since nobody looks into it: leave "${path}" out` };
  const prefix = path === undefined ? { value: null } : parsePath(path);
  if ('mistake' in prefix) return prefix;
  const asked = path !== undefined ? `the path "${path}"` : methodsText !== undefined ? `the methods "${methodsText}"` : 'methods';
  return {
    value: {
      rule: { host: host.value, ports: ports.value, methods: methods.value, path_prefix: prefix.value },
      inside: !tunnel && portsText !== undefined && ports.value.includes(tlsPort) ? asked : undefined,
    },
  };
}

function splitHost(text: string): Parsed<{ readonly hostText: string; readonly rest: string }> {
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text)) return { mistake: 'a URL is not taken here: write HOST:PORT:METHODS:/PATH' };
  if (text.startsWith('[')) {
    const end = text.indexOf(']');
    if (end < 0) return { mistake: 'the bracket of the IPv6 address is not closed' };
    const rest = text.slice(end + 1);
    if (rest !== '' && !rest.startsWith(':')) return { mistake: `"${rest}" after the bracket should begin with a colon` };
    return { value: { hostText: text.slice(0, end + 1), rest } };
  }
  const colon = text.search(/[:/]/);
  if (colon < 0) return { value: { hostText: text, rest: '' } };
  if (text[colon] === '/') return { mistake: `"${text.slice(colon)}" is a path, which comes after a colon: ${text.slice(0, colon)}:${text.slice(colon)}` };
  // Two groups of hexadecimal digits at least: nobody names a host so, and its ports can't be told from its groups.
  if (/^[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*$/.test(text) && canonicalHost(text).ok) return { mistake: `an IPv6 address needs brackets: [${text}]` };
  return { value: { hostText: text.slice(0, colon), rest: text.slice(colon) } };
}

function parseHost(text: string): Parsed<string> {
  const wildcard = text.startsWith('*.');
  const host = canonicalHost(wildcard ? text.slice(2) : text);
  if (text === '*') return { mistake: '"*" is every host; name hosts, or *.suffix' };
  if (!host.ok) return { mistake: `"${text}" is not a host: ${host.reason}` };
  // On the wire such names occur; policies don't take them (RFC 952, RFC 5321: a label has its hyphens inside).
  if (/(?:^|\.)-|-(?:\.|$)/.test(host.host)) return { mistake: `"${text}" is not a host: a label begins or ends with a hyphen` };
  if (wildcard && host.is_ip_literal) return { mistake: `"${text}": there is nothing below an address` };
  return { value: wildcard ? `*.${host.host}` : host.host };
}

interface Parts {
  readonly ports: string | undefined;
  readonly methods: string | undefined;
  readonly path: string | undefined;
}

function splitParts(rest: string): Parsed<Parts> {
  let ports: string | undefined;
  let methods: string | undefined;
  for (let left = rest; left !== '';) {
    const text = left.slice(1);
    if (text.startsWith('/')) return { value: { ports, methods, path: text } };
    const end = text.indexOf(':');
    const part = end < 0 ? text : text.slice(0, end);
    left = end < 0 ? '' : text.slice(end);
    if (part === '') return { mistake: 'a part between two colons, or after the last one, is empty' };
    if (/^[0-9,]/.test(part) && ports === undefined && methods === undefined) ports = part;
    else if (!/^[0-9,]/.test(part) && methods === undefined) methods = part;
    else return { mistake: `"${part}" is one part too many (HOST:PORTS:METHODS:/PATH)` };
  }
  return { value: { ports, methods, path: undefined } };
}

function parsePorts(text: string): Parsed<readonly number[]> {
  const ports: number[] = [];
  for (const part of text.split(',')) {
    const port = /^[1-9][0-9]{0,4}$/.test(part) ? Number(part) : 0;
    if (port < 1 || port > 65_535) return { mistake: `"${part}" is not a port from 1 to 65535` };
    if (!ports.includes(port)) ports.push(port);
  }
  return ports.length > runPolicyLimits.ports ? { mistake: `there are more than ${runPolicyLimits.ports} ports` } : { value: ports };
}

function parseMethods(text: string): Parsed<readonly string[]> {
  const methods = [...new Set(text.split(','))];
  for (const method of methods) {
    if (/^(?:\*|[A-Z][A-Z0-9_-]{0,31})$/.test(method)) {
      if (method === 'CONNECT') return { mistake: '"CONNECT" is not a method of its own: TUNNEL allows it' };
      if ((method === '*' || method === 'TUNNEL') && methods.length > 1) return { mistake: `"${method}" stands alone; give a second --allow for the others` };
      continue;
    }
    const capitals = method.toUpperCase();
    return { mistake: /^[A-Z][A-Z0-9_-]*$/.test(capitals) && capitals.length <= 32 ? `"${method}" is not a method; methods are capitals: ${capitals}` : `"${method}" is neither a list of ports, nor methods, nor a path (which begins with /)` };
  }
  return methods.length > runPolicyLimits.methods ? { mistake: `there are more than ${runPolicyLimits.methods} methods; use *` } : { value: methods };
}

function parsePath(text: string): Parsed<string> {
  if (/[?#]/.test(text)) return { mistake: `the path "${text}" holds a query; only paths are compared` };
  if (/[\s\p{Cc}]/u.test(text)) return { mistake: 'the path holds a space or a control character' };
  // Requests are refused unless their path is canonical, so such a prefix would match none.
  if (text.includes('//') || text.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))) return { mistake: `the path "${text}" is not canonical: no "//", no "." and no ".."` };
  return text.length > 1024 ? { mistake: 'the path is longer than 1024 characters' } : { value: text };
}

/** As it is typed again: IPv6 in brackets. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
