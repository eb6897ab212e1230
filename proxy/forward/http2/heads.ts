import type { Permit } from '../../enforce/permit.ts';
import type { HeaderList, RequestHead, ResponseFraming, ResponseHead } from '../../exchange.ts';
import { isDirty } from '../../wire/dirt.ts';
import { hopsLeft, isHttp2FieldName } from '../../wire/fields.ts';
import { maximumHeadBytes, specialFields, statedLength } from '../../wire/head-rules.ts';
import { endToEndFields, takesTrailers } from '../../wire/serialise.ts';

/** Heads of HTTP/2 towards an origin. Pure. */

/** The request as its permit has it: pseudo-fields, then what is end to end, in order. */
export function requestFields(head: RequestHead, { scheme, authority, target }: Pick<Permit, 'scheme' | 'authority' | 'target'>): string[] {
  const fields = [':method', head.method, ':scheme', scheme, ':authority', authority, ':path', target];
  const hops = hopsLeft(head);
  const passed = endToEndFields(head.headers);
  for (let index = 0; index < passed.length; index += 2) {
    const name = passed[index]!;
    // `:authority` says it (RFC 9113, section 8.3.1).
    if (name === 'host') continue;
    fields.push(name, hops !== undefined && name === 'max-forwards' ? String(hops - 1) : passed[index + 1]!);
  }
  if (takesTrailers(head.headers)) fields.push('te', 'trailers');
  if (head.expects_continue) fields.push('expect', '100-continue');
  return fields;
}

/** What these fields are as lines of HTTP/1.1: what they cost, however well HPACK did. */
export function linesLength(fields: HeaderList): number {
  let length = fields.length * 2;
  for (const text of fields) length += text.length;
  return length;
}

const statusLine = 'HTTP/1.1 200 \r\n'.length;

/** What a head costs: `fields` as they came, `:status` among them. */
export function answerLength(fields: HeaderList): number {
  return statusLine + linesLength(fields) - linesLength([':status', '200']) + 2;
}

/** Fields of one hop, which HTTP/2 has none of (RFC 9113, section 8.2.2). */
const ofOneHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

function isClean(value: string): boolean {
  return !value.includes('\r') && !isDirty(value);
}

/**
 * The head of an answer, as strict as `judgeResponse` is for HTTP/1.1; a string is what is wrong. `ended`: nothing follows it.
 * nghttp2 has looked at it before and is lenient here and there.
 */
export function judgeAnswer(fields: HeaderList, method: string, ended: boolean): ResponseHead | string {
  const code = fields[1] ?? '';
  if (fields[0] !== ':status' || !/^[1-5][0-9]{2}$/.test(code)) return 'the head does not begin with a status of three digits';
  const status = Number(code);
  const headers = fields.slice(2);
  if (linesLength(headers) > maximumHeadBytes) return `the head is larger than ${maximumHeadBytes} bytes`;
  const special = specialFields(headers, undefined);
  if (typeof special === 'string') return special;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    if (!isHttp2FieldName(name)) return 'the name of a field has characters that it can\'t have';
    if (ofOneHop.has(name)) return `the field ${name} does not exist in HTTP/2`;
    if (!isClean(headers[index + 1]!)) return 'a field has control characters';
  }
  const stated = statedLength(special.lengths);
  if (typeof stated === 'string') return stated;
  const promises = stated.kind === 'length' && stated.bytes > 0;
  if (status < 200) {
    if (status === 101) return 'the status is 101, which does not exist in HTTP/2';
    if (ended) return 'it ends with an interim answer';
    if (promises) return 'an interim answer announces a body';
  }
  const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304;
  if (ended && promises && !bodiless) return 'the body is shorter than its Content-Length';
  const framing: ResponseFraming = bodiless || ended ? { kind: 'none' } : stated.kind === 'length' ? stated : { kind: 'chunked' };
  return { status, reason: '', version: '2', headers, framing, keep_alive: true };
}

/** Trailers as they came, without what Node puts before; a string is what is wrong with their form. `judgeTrailers` looks at what they say. */
export function readTrailers(fields: HeaderList): HeaderList | string {
  for (let index = 0; index < fields.length; index += 2) {
    if (!isHttp2FieldName(fields[index]!)) return 'a trailer has a name that it can\'t have';
    if (!isClean(fields[index + 1]!)) return 'a trailer has control characters';
  }
  return fields;
}
