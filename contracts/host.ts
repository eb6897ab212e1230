import { domainToASCII, domainToUnicode } from 'node:url';
import { formatAddress, parseIPv4, parseIPv6, type Family } from './address-text.ts';

/** A name (lower case A-labels, no trailing dot) or an address (dotted decimal, or RFC 5952 without brackets). */
export interface CanonicalHost {
  readonly ok: true;
  readonly host: string;
  readonly is_ip_literal: boolean;
  readonly family?: Family;
}
/** `reason` is a clause for a person: "it holds a space". */
export interface HostRefusal {
  readonly ok: false;
  readonly reason: string;
}

/** RFC 1035, section 2.3.4, less the root's dot. */
const hostMaxLength = 253;
const labelMaxLength = 63;
/** Characters that IDNA maps away or joins may make a spelling longer than the name. */
const spellingMaxLength = 1024;

/** Names that need no work: most of them. The last label starts with a letter, so it can't be a number (WHATWG URL, 3.5). */
const plainName = /^(?:[a-z0-9_-]{1,63}\.)*[a-z_][a-z0-9_-]{0,62}$/;
const label = /^[a-z0-9_-]+$/;
const aLabel = /(?:^|\.)xn--/;
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0020\u007f-\u00a0\u2028\u2029]/;
const bareV6 = /^[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%.*)?$/;
const delimiter = /[#%/:<>?@[\\\]^|]/;

const refuse = (reason: string): HostRefusal => ({ ok: false, reason });
const name = (host: string): CanonicalHost => ({ ok: true, host, is_ip_literal: false });
const literal = (host: string, family: Family): CanonicalHost => ({ ok: true, host, is_ip_literal: true, family });

function addressV6(text: string): CanonicalHost | HostRefusal {
  if (text.includes('%')) return refuse('an IPv6 zone id means nothing outside one machine');
  const bytes = parseIPv6(text);
  return bytes === undefined ? refuse('it is not an IPv6 address') : literal(formatAddress(bytes), 6);
}

/**
 * The one spelling of a host, or why there is none (proxy.md, "Describe"). Idempotent: what comes out may go in again.
 *
 * Takes Unicode names (IDNA, `domainToASCII`), WHATWG's numeric spellings of IPv4 addresses (`0x7f.1`, `2130706433`), IPv6 with
 * or without brackets and one trailing dot. Userinfo, ports, escapes, spaces and control characters are refused.
 */
export function canonicalHost(raw: string): CanonicalHost | HostRefusal {
  if (raw.length <= hostMaxLength && plainName.test(raw) && !aLabel.test(raw)) return name(raw);
  if (raw === '') return refuse('it is empty');
  if (raw.length > spellingMaxLength) return refuse(`it is longer than ${spellingMaxLength} characters`);
  if (control.test(raw)) return refuse('it holds a space or control character');
  if (raw.includes('@')) return refuse('user information does not belong into a host');
  if (raw.startsWith('[')) return raw.endsWith(']') ? addressV6(raw.slice(1, -1)) : refuse('it does not end with the bracket that it opens');
  if (bareV6.test(raw)) return addressV6(raw);
  const bad = delimiter.exec(raw);
  if (bad !== null) return refuse(`it holds ${JSON.stringify(bad[0])}`);

  // domainToASCII answers '' for what it can't map and for numbers that are no address.
  const ascii = domainToASCII(raw);
  if (ascii === '') return refuse('it is neither a name nor an address');
  const host = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  if (parseIPv4(host) !== undefined) return literal(host, 4);
  if (host.length > hostMaxLength) return refuse(`it is longer than ${hostMaxLength} characters`);
  for (const part of host.split('.')) {
    if (part === '') return refuse('it has an empty label');
    if (part.length > labelMaxLength) return refuse(`a label is longer than ${labelMaxLength} characters`);
    if (!label.test(part)) return refuse('a label holds other characters than letters, digits, - and _');
    if (part.startsWith('xn--') && !isALabel(part)) return refuse(`"${part}" is not the encoding of a label`);
  }
  // A dot removed may have left a number at the end, which must not be read as a name here and as an address elsewhere.
  return ascii === host || domainToASCII(host) === host ? name(host) : refuse('it is neither a name nor an address');
}

/** domainToASCII passes A-labels that decode to nothing or to another spelling; resolvers and TLS stacks differ on those. */
function isALabel(part: string): boolean {
  const unicode = domainToUnicode(part);
  return unicode !== '' && unicode !== part && domainToASCII(unicode) === part;
}

export interface Authority {
  readonly ok: true;
  readonly host: string;
  readonly port: number;
  readonly is_ip_literal: boolean;
  readonly family?: Family;
}

const portText = /^[1-9][0-9]{0,4}$/;
// oxlint-disable-next-line no-control-regex
const nonAscii = /[^\u0000-\u007f]/;

/**
 * `host:port` of a CONNECT, a `Host` field or an absolute URL. Without `defaultPort` (CONNECT) the port must be there; an empty
 * port, leading zeros and 0 are refused. On the wire a host is ASCII: bytes above 127 would be read in several encodings.
 */
export function parseAuthority(raw: string, defaultPort?: number): Authority | HostRefusal {
  if (nonAscii.test(raw)) return refuse('it holds bytes above 127 (names in other scripts are sent as A-labels, xn--...)');
  const colon = raw.startsWith('[') ? raw.indexOf(':', raw.indexOf(']') + 1) : raw.indexOf(':');
  const hostText = colon < 0 ? raw : raw.slice(0, colon);
  let port = defaultPort;
  if (colon >= 0) {
    const digits = raw.slice(colon + 1);
    if (hostText !== '' && !hostText.startsWith('[') && digits.includes(':')) return refuse('an IPv6 address needs brackets here');
    port = portText.test(digits) ? Number(digits) : 0;
    if (port < 1 || port > 65_535) return refuse('the port is not a number from 1 to 65535');
  }
  if (port === undefined) return refuse('it has no port');
  if (hostText.startsWith('[') && !hostText.endsWith(']')) return refuse('a bracket is not closed');
  const host = canonicalHost(hostText);
  return host.ok ? { ...host, port } : host;
}

/** Value of a `Host` field: brackets around IPv6, port only when it is not the default. */
export function formatAuthority(host: string, port: number, defaultPort?: number): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === defaultPort ? name : `${name}:${port}`;
}

/** A canonical host and each domain above it, nearest first; an address has only itself. */
export function suffixes(host: string): readonly string[] {
  const result = [host];
  if (host.includes(':') || parseIPv4(host) !== undefined) return result;
  for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) result.push(host.slice(dot + 1));
  return result;
}
