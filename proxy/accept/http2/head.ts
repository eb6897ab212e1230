import type { HeaderList, RequestHead } from '../../exchange.ts';
import { isHttp2FieldName } from '../../wire/fields.ts';
import { maximumHeadBytes, specialFields, statedLength, type BadHead } from '../../wire/head-rules.ts';
import { isMethod } from '../../wire/llhttp.ts';

/**
 * What the head of an HTTP/2 request must be so that nobody can read it another way, whichever version it goes on in: RFC 9113, sections
 * 8.2 and 8.3, and the rules that `wire/head-rules.ts` has for HTTP/1. Pure; `detail` is for the sender.
 */

export interface GoodHttp2Request {
  readonly kind: 'request';
  readonly head: RequestHead;
}

/** No white space around it (RFC 9113, section 8.2.1): HTTP/1 would lose it, and two readers would see two values. */
const fieldValue = /^(?:[\x21-\x7e\x80-\xff](?:[\t -~\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const targetCharacters = /^[\x21\x22\x24-\x7e]+$/;
/** RFC 9113, section 8.2.2, and the h2c offer that only HTTP/1 knows. */
const ofConnection = new Set(['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'http2-settings']);
/** What RFC 9113, section 6.5.2, counts for each field beyond its octets. */
const fieldOverhead = 32;

type Pseudo = ':method' | ':scheme' | ':path' | ':authority';
const pseudoNames: ReadonlySet<string> = new Set<Pseudo>([':method', ':scheme', ':path', ':authority']);

interface Parts {
  readonly pseudo: Readonly<Partial<Record<Pseudo, string>>>;
  /** Without pseudo-fields and `host`; cookies joined where the first one stood (RFC 9113, section 8.2.3). */
  readonly fields: readonly string[];
  readonly hosts: readonly string[];
}

/** Octets of a head as RFC 9113, section 6.5.2, counts them. */
export function listSize(raw: HeaderList): number {
  let size = 0;
  for (let index = 0; index < raw.length; index += 2) size += raw[index]!.length + raw[index + 1]!.length + fieldOverhead;
  return size;
}

function take(raw: HeaderList): Parts | string {
  const pseudo: Partial<Record<Pseudo, string>> = {};
  const fields: string[] = [];
  const hosts: string[] = [];
  let cookie: number | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!;
    const value = raw[index + 1]!;
    if (!fieldValue.test(value)) return 'a field has control characters, or white space around its value';
    if (name.startsWith(':')) {
      if (fields.length > 0 || hosts.length > 0) return 'a pseudo-field stands behind others';
      if (!pseudoNames.has(name)) return 'there is a pseudo-field that requests do not have';
      if (pseudo[name as Pseudo] !== undefined) return `${name} is there twice`;
      pseudo[name as Pseudo] = value;
    } else if (!isHttp2FieldName(name)) {
      return 'the name of a field has upper case or characters that names do not have';
    } else if (name === 'host') {
      hosts.push(value);
    } else if (name === 'cookie') {
      if (cookie === undefined) cookie = fields.push(name, value) - 1;
      else fields[cookie] += `; ${value}`;
    } else if (ofConnection.has(name)) {
      return `${name} does not exist in HTTP/2`;
    } else if (name === 'te' && value !== 'trailers') {
      return 'te says something other than trailers';
    } else {
      fields.push(name, value);
    }
  }
  return { pseudo, fields, hosts };
}

/** `raw` as it came, names in lower case; `scheme` is that of the connection; `ends`: no body follows. */
export function judgeHttp2Request(raw: HeaderList, scheme: 'http' | 'https', ends: boolean): GoodHttp2Request | BadHead {
  const bad = (detail: string, code: BadHead['code'] = 'bad_request'): BadHead => ({ kind: 'bad', code, detail });
  if (listSize(raw) > maximumHeadBytes) return bad(`The head is larger than ${maximumHeadBytes} bytes.`);
  const parts = take(raw);
  if (typeof parts === 'string') return bad(`The request can't be read as HTTP/2: ${parts}.`);
  const { pseudo, fields, hosts } = parts;
  const { ':method': method, ':path': target, ':scheme': named, ':authority': authority = hosts[0] } = pseudo;
  if (method === 'CONNECT') return bad('A CONNECT inside a CONNECT is not supported.', 'not_supported');
  if (method === undefined || target === undefined || named === undefined) return bad('The request needs :method, :scheme and :path.');
  if (!isMethod(method)) return bad('This method is not one of HTTP.', 'not_supported');
  if (named !== scheme) return bad(`This connection is for ${scheme}, and the request names another scheme.`);
  if (!targetCharacters.test(target)) return bad('The target has a fragment or characters that must be encoded.');
  // Which of the two the other side believes is up to it.
  if (authority === undefined || authority === '') return bad('The request names no authority.');
  if (hosts.length > 1 || (hosts.length === 1 && hosts[0] !== authority)) return bad('The field host is there twice, or is not what :authority says.');

  const headers = ['host', authority, ...fields];
  const special = specialFields(headers, undefined);
  if (typeof special === 'string') return bad(`In the request, ${special}.`);
  const stated = statedLength(special.lengths);
  if (typeof stated === 'string') return bad(`In the request, ${stated}.`);
  if (ends && stated.kind === 'length' && stated.bytes > 0) return bad('The request announces a body and has none.');
  const framing = ends ? { kind: 'none' } as const : stated.kind === 'none' ? { kind: 'chunked' } as const : stated;
  const bodiless = framing.kind === 'none' || (framing.kind === 'length' && framing.bytes === 0);
  if (!bodiless && method === 'TRACE') return bad('TRACE has no body.');
  const expectation = fields.findIndex((field, index) => index % 2 === 0 && field === 'expect');
  if (expectation >= 0 && fields[expectation + 1]!.toLowerCase() !== '100-continue') return bad('The only expectation known here is 100-continue.');
  return { kind: 'request', head: { method, target, version: '2', headers, framing, expects_continue: expectation >= 0 && !bodiless, upgrade: undefined } };
}

/** Whether each value can be passed on; names are nghttp2's to judge. */
export function hasCleanValues(fields: HeaderList): boolean {
  return fields.every((value, index) => index % 2 === 0 || fieldValue.test(value));
}
