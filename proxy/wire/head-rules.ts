import type { ErrorCode } from '../../contracts/errors.ts';
import type { Framing, HeaderList, RequestHead, ResponseFraming, ResponseHead } from '../exchange.ts';
import { isDirty } from './dirt.ts';
import { fieldValues, isNamed, listMembers } from './fields.ts';
import type { ParsedHead, ParsedRequest, ParsedResponse } from './llhttp.ts';

/**
 * What a head must be beyond llhttp's grammar so that nobody can read it another way: RFC 9112 with every MAY of a lenient
 * recipient taken as no. Pure; `detail` is for the sender.
 */

export const maximumHeadBytes = 65_536;
const maximumFields = 100;
/** Options of `Connection`: each is looked for among all fields. */
const maximumOptions = 32;

export interface BadHead {
  readonly kind: 'bad';
  readonly code: Extract<ErrorCode, 'bad_request' | 'not_supported' | 'upstream_protocol'>;
  readonly detail: string;
}
export interface GoodRequest {
  readonly kind: 'request';
  readonly head: RequestHead;
  /** The client may send another request on this connection. */
  readonly keep_alive: boolean;
}
export interface GoodResponse {
  readonly kind: 'response';
  readonly head: ResponseHead;
}

/**
 * Fields that a sender may not call hop-by-hop: stripping one would change framing, address, identity or meaning of the message
 * (RFC 9110, section 7.6.1: options must not name fields meant for all recipients).
 */
const neverNominated = new Set([
  'host', 'content-length', 'transfer-encoding', 'authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'expect', 'date', 'age',
  'content-type', 'content-encoding', 'content-range', 'content-location', 'content-disposition', 'content-language', 'range',
  'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'etag', 'last-modified', 'cache-control', 'vary',
  'origin', 'referer', 'location', 'accept', 'accept-encoding', 'user-agent', 'via', 'forwarded', 'x-forwarded-for', 'x-forwarded-host',
  'x-forwarded-proto', 'x-real-ip', 'www-authenticate', 'authentication-info', 'digest', 'content-digest', 'signature', 'signature-input',
]);

/** Options that say something about this hop and name no field that would reach the other side anyway. */
const ofThisHop = new Set(['close', 'keep-alive', 'te', 'trailer', 'upgrade', 'http2-settings', 'proxy-connection']);

const token = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const framingLookalike = /^(host|content[-_]length|transfer[-_]encoding)$/i;

interface Special {
  readonly hosts: number;
  readonly lengths: readonly string[];
  readonly encodings: readonly string[];
  readonly options: readonly string[];
}

/**
 * One pass over the fields; a string is what is wrong. `harmless` may be nominated all the same: origins at large caches send
 * `Connection: Transfer-Encoding`, which says nothing new of a field that is never passed on.
 */
export function specialFields(headers: HeaderList, harmless: string | undefined): Special | string {
  if (headers.length > maximumFields * 2) return `the head has more than ${maximumFields} fields`;
  let hosts = 0;
  let lengths: string[] | undefined;
  let encodings: string[] | undefined;
  let connection: string[] | undefined;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    // Only names of these lengths are special: most fields are passed by without being lowered.
    switch (name.length) {
      case 4:
        if (isNamed(name, 'host')) hosts++;
        break;
      case 10:
        if (isNamed(name, 'connection')) (connection ??= []).push(headers[index + 1]!);
        break;
      case 14:
        if (isNamed(name, 'content-length')) (lengths ??= []).push(headers[index + 1]!);
        else if (framingLookalike.test(name)) return `the field ${name} looks like one that frames`;
        break;
      case 17:
        if (isNamed(name, 'transfer-encoding')) (encodings ??= []).push(headers[index + 1]!);
        else if (framingLookalike.test(name)) return `the field ${name} looks like one that frames`;
        break;
      default:
    }
  }
  const options = connection === undefined ? [] : listMembers(connection);
  if (options.length > maximumOptions) return `the field Connection has more than ${maximumOptions} members`;
  for (const option of options) {
    if (!token.test(option)) return 'the field Connection is not a list of names';
    if (option === harmless) continue;
    if (neverNominated.has(option) || option.startsWith('sallyport-')) return `Connection names ${option}, which is not hop-by-hop`;
  }
  return { hosts, lengths: lengths ?? [], encodings: encodings ?? [], options };
}

function framingOf(head: ParsedHead, { lengths, encodings }: Special): Framing | string {
  if (encodings.length > 0) {
    if (lengths.length > 0) return 'the head has both Content-Length and Transfer-Encoding';
    if (head.minor === 0) return 'Transfer-Encoding does not exist in HTTP/1.0';
    if (encodings.length > 1 || encodings[0]!.toLowerCase() !== 'chunked') return 'Transfer-Encoding is something other than chunked, once';
    return { kind: 'chunked' };
  }
  return statedLength(lengths);
}

/** Framing by the values of Content-Length alone, or what is wrong with them. */
export function statedLength(lengths: readonly string[]): Exclude<Framing, { kind: 'chunked' }> | string {
  if (lengths.length === 0) return { kind: 'none' };
  const length = lengths[0]!;
  const bytes = Number(length);
  // A leading zero is octal to some (strtol with base 0).
  if (lengths.length > 1 || !/^(0|[1-9][0-9]*)$/.test(length) || !Number.isSafeInteger(bytes)) return 'Content-Length is not one whole number, once';
  return { kind: 'length', bytes };
}

/**
 * Without the fields that `Connection` nominates: nobody judges what the other side will not get. The field `Connection` itself stays,
 * for the serialiser to leave out.
 */
function withoutNominated(headers: HeaderList, options: readonly string[]): HeaderList {
  const named = options.filter((option) => !ofThisHop.has(option));
  if (named.length === 0) return headers;
  const left: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    if (!named.includes(headers[index]!.toLowerCase())) left.push(headers[index]!, headers[index + 1]!);
  }
  return left;
}

const keepsAlive = (version: string, options: readonly string[]): boolean => version === '1.1' && !options.includes('close');

export function judgeRequest(parsed: ParsedRequest | string): GoodRequest | BadHead {
  const bad = (detail: string, code: BadHead['code'] = 'bad_request'): BadHead => ({ kind: 'bad', code, detail });
  if (typeof parsed === 'string') return bad(`The request can't be read as HTTP/1.1: ${parsed}.`);
  const { method, target, headers, text } = parsed;
  if (method === undefined) return bad('This method is not one of HTTP.', 'not_supported');
  if (parsed.major !== 1 || parsed.minor > 1) return bad('Only HTTP/1.1 and HTTP/1.0 are spoken here.', 'not_supported');
  const version = parsed.minor === 1 ? '1.1' : '1.0';
  // llhttp lets several spaces pass, and a request without a version.
  const afterMethod = method.length + 1;
  const line = text.startsWith(method) && text.charCodeAt(method.length) === 32 && text.startsWith(target, afterMethod)
    && text.startsWith(version === '1.1' ? ' HTTP/1.1\r\n' : ' HTTP/1.0\r\n', afterMethod + target.length);
  if (!line) return bad('The request line is not method, target and version with one space between.');
  if (isDirty(text)) return bad('The head has control characters, lone CR or LF, or a folded line.');
  if (!/^[\x21\x22\x24-\x7e]+$/.test(target)) return bad('The target has a fragment or characters that must be encoded.');

  const fields = specialFields(headers, undefined);
  if (typeof fields === 'string') return bad(`${capital(fields)}.`);
  if (fields.hosts > 1 || (fields.hosts === 0 && version === '1.1')) return bad('The request needs the field Host exactly once.');
  const framing = framingOf(parsed, fields);
  if (typeof framing === 'string') return bad(`${capital(framing)}.`);
  const bodiless = framing.kind === 'none' || (framing.kind === 'length' && framing.bytes === 0);
  if (!bodiless && (method === 'CONNECT' || method === 'TRACE')) return bad(`${method} has no body.`);

  let expects = false;
  let upgrade: string | undefined;
  let keep = keepsAlive(version, fields.options);
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    if (isNamed(name, 'expect')) {
      if (headers[index + 1]!.toLowerCase() !== '100-continue') return bad('The only expectation known here is 100-continue.');
      expects = version === '1.1' && !bodiless;
    } else if (isNamed(name, 'proxy-connection')) {
      // Not a field of any standard; clients that send it mean Connection.
      if (headers[index + 1]!.toLowerCase() === 'close') keep = false;
    }
  }
  // RFC 9110, section 7.8: an offer in HTTP/1.0 is ignored.
  if (version === '1.1' && fields.options.includes('upgrade')) {
    const offers = listMembers(fieldValues(headers, 'upgrade'));
    // An offer of HTTP/2 in clear text need not be taken up (RFC 9110, section 7.8): cargo and Java make it on plain requests.
    if (offers.some((offer) => offer !== 'h2c')) upgrade = offers.join(', ');
  }
  return { kind: 'request', head: { method, target, version, headers: withoutNominated(headers, fields.options), framing, expects_continue: expects, upgrade }, keep_alive: keep };
}

/** `method` is that of the request: it says whether there is a body (RFC 9112, section 6.3). */
export function judgeResponse(parsed: ParsedResponse | string, method: string): GoodResponse | BadHead {
  const bad = (detail: string): BadHead => ({ kind: 'bad', code: 'upstream_protocol', detail });
  if (typeof parsed === 'string') return bad(`The answer can't be read as HTTP/1.1: ${parsed}.`);
  const { status, headers, text } = parsed;
  const version = parsed.minor === 1 ? '1.1' : '1.0';
  const lineEnd = text.indexOf('\r\n');
  const line = text.slice(0, lineEnd);
  const start = `HTTP/${version} ${status}`;
  if (parsed.major !== 1 || parsed.minor > 1 || status < 100 || status > 599 || !line.startsWith(start) || (line.length > start.length && line[start.length] !== ' ')) {
    return bad('The status line of the answer is not that of HTTP/1.1.');
  }
  if (isDirty(text)) return bad('The head of the answer has control characters, lone CR or LF, or a folded line.');
  const fields = specialFields(headers, 'transfer-encoding');
  if (typeof fields === 'string') return bad(`In the answer, ${fields}.`);
  const framing = framingOf(parsed, fields);
  if (typeof framing === 'string') return bad(`In the answer, ${framing}.`);
  // RFC 9110, section 8.6, and RFC 9112, section 6.1: neither 1xx nor 204 has a body to frame. Where one is announced all the same it
  // may follow, late: before the final answer that is beyond reading, after a 204 nobody may be given the connection again.
  const promises = framing.kind === 'chunked' || (framing.kind === 'length' && framing.bytes > 0);
  if (status < 200 && promises) return bad('An interim answer announces a body.');
  return {
    kind: 'response',
    head: {
      status, reason: line.slice(start.length + 1), version, headers,
      framing: responseFraming(method, status, framing),
      keep_alive: keepsAlive(version, fields.options) && !(status === 204 && promises),
    },
  };
}

function responseFraming(method: string, status: number, stated: Framing): ResponseFraming {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { kind: 'none' };
  return stated.kind === 'none' ? { kind: 'until_close' } : stated;
}

/** Trailers that may be passed on, or what is wrong: one that frames, addresses or identifies (RFC 9110, section 6.5.1). */
export function judgeTrailers(trailers: HeaderList): HeaderList | string {
  if (trailers.length > maximumFields * 2) return `more than ${maximumFields} trailers`;
  for (let index = 0; index < trailers.length; index += 2) {
    const name = trailers[index]!.toLowerCase();
    if (neverInTrailers.has(name) || framingLookalike.test(name) || name.startsWith('proxy-') || name.startsWith('sallyport-')) return `${name} can't be a trailer`;
    if (isDirty(trailers[index + 1]!)) return 'a trailer has control characters';
  }
  return trailers;
}

const neverInTrailers = new Set([
  'host', 'content-length', 'transfer-encoding', 'connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'expect', 'authorization', 'cookie',
  'set-cookie', 'content-type', 'content-encoding', 'content-range', 'cache-control', 'range', 'location', 'www-authenticate',
]);

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
