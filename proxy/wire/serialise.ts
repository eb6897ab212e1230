import type { HeaderList, RequestHead, ResponseHead } from '../exchange.ts';
import { fieldValues, hopsLeft, isNamed, listMembers } from './fields.ts';
import { PerHead } from './per-head.ts';

/**
 * Heads as we send them, made from what was judged: order, case and duplicates kept; fields of one hop (RFC 9110, section 7.6.1),
 * `Proxy-*` and what `Connection` nominates left out. `head-rules.ts` has refused nominations that matter.
 */

/** Fields of this hop only; those that still apply on the next one are written anew. A switch, as it runs for each field of each head. */
function isHopByHop(name: string): boolean {
  if ((name.charCodeAt(0) | 32) === 112 && name.length >= 6 && name.slice(0, 6).toLowerCase() === 'proxy-') return true;
  switch (name.length) {
    case 2: return isNamed(name, 'te');
    case 6: return isNamed(name, 'expect');
    case 7: return isNamed(name, 'upgrade') || isNamed(name, 'trailer');
    case 10: return isNamed(name, 'connection') || isNamed(name, 'keep-alive');
    case 14: return isNamed(name, 'http2-settings');
    case 17: return isNamed(name, 'transfer-encoding');
    default: return false;
  }
}

const none: readonly string[] = [];

/** What `Connection` names beyond itself. */
function nominated(headers: HeaderList): readonly string[] {
  const values = fieldValues(headers, 'connection');
  if (values.length === 0) return none;
  const options = listMembers(values);
  return options.length === 1 && (options[0] === 'close' || options[0] === 'keep-alive') ? none : options;
}

/** The fields that go on, as lines. `rewrite` gives another value to write, or undefined to leave the field out. */
function endToEnd(headers: HeaderList, rewrite: ((name: string, value: string) => string | undefined) | undefined): string {
  const options = nominated(headers);
  let text = '';
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    if (isHopByHop(name) || (options.length > 0 && options.includes(name.toLowerCase()))) continue;
    const value = rewrite === undefined ? headers[index + 1] : rewrite(name, headers[index + 1]!);
    if (value !== undefined) text += `${name}: ${value}\r\n`;
  }
  return text;
}

/** The same for HTTP/2, which has names in lower case (RFC 9113, section 8.2). */
export function endToEndFields(headers: HeaderList): string[] {
  const options = nominated(headers);
  const fields: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!.toLowerCase();
    if (!isHopByHop(name) && !options.includes(name)) fields.push(name, headers[index + 1]!);
  }
  return fields;
}

/** True when the sender of these fields takes trailers (`TE: trailers`). */
export function takesTrailers(headers: HeaderList): boolean {
  const values = fieldValues(headers, 'te');
  return values.length > 0 && listMembers(values).includes('trailers');
}

function trailerField(headers: HeaderList): string {
  const names = fieldValues(headers, 'trailer');
  return names.length === 0 ? '' : `Trailer: ${names.join(', ')}\r\n`;
}

const requests = new PerHead<RequestHead, { readonly target: string; readonly authority: string; readonly text: string }>();

/** `target`, `authority` and `upgrade` are the permit's: canonical, and the very ones that were judged. */
export function serialiseRequest(head: RequestHead, target: string, authority: string, upgrade?: string): string {
  if (upgrade !== undefined) return writeRequest(head, target, authority, upgrade);
  const known = requests.get(head);
  if (known !== undefined && known.target === target && known.authority === authority) return known.text;
  const text = writeRequest(head, target, authority, undefined);
  requests.set(head, { target, authority, text });
  return text;
}

function writeRequest(head: RequestHead, target: string, authority: string, upgrade: string | undefined): string {
  let hasHost = false;
  const hops = hopsLeft(head);
  const fields = endToEnd(head.headers, (name, value) => {
    if (isNamed(name, 'host')) {
      hasHost = true;
      return authority;
    }
    // One hop less (RFC 9110, section 7.6.2); `accept/` has refused what may go no further.
    return hops !== undefined && isNamed(name, 'max-forwards') ? String(hops - 1) : value;
  });
  let text = `${head.method} ${target} HTTP/1.1\r\n`;
  if (!hasHost) text += `Host: ${authority}\r\n`;
  text += fields;
  if (upgrade !== undefined) text += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`;
  else if (takesTrailers(head.headers)) text += 'TE: trailers\r\nConnection: TE\r\n';
  if (head.expects_continue) text += 'Expect: 100-continue\r\n';
  if (head.framing.kind === 'chunked') text += `${trailerField(head.headers)}Transfer-Encoding: chunked\r\n`;
  return `${text}\r\n`;
}

export interface ResponseShape {
  /** The body that follows is chunked by us. */
  readonly chunked: boolean;
  readonly trailers: boolean;
  readonly close: boolean;
  /** What the connection speaks after this answer. */
  readonly upgrade?: string;
}

const responses = new PerHead<ResponseHead, { readonly shape: ResponseShape; readonly text: string }>();

export function serialiseResponse(head: ResponseHead, shape: ResponseShape): string {
  if (shape.upgrade !== undefined) return writeResponse(head, shape);
  const known = responses.get(head);
  if (known?.shape.chunked === shape.chunked && known.shape.trailers === shape.trailers && known.shape.close === shape.close) return known.text;
  const text = writeResponse(head, shape);
  responses.set(head, { shape, text });
  return text;
}

function writeResponse(head: ResponseHead, shape: ResponseShape): string {
  // 1xx and 204 have no length (RFC 9110, section 8.6); one that says so all the same would desynchronise a lenient client.
  const lengthless = head.status < 200 || head.status === 204;
  const fields = endToEnd(head.headers, lengthless ? (name, value) => (isNamed(name, 'content-length') ? undefined : value) : undefined);
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n${fields}`;
  if (shape.chunked) text += `${shape.trailers ? trailerField(head.headers) : ''}Transfer-Encoding: chunked\r\n`;
  if (shape.upgrade !== undefined) text += `Connection: Upgrade\r\nUpgrade: ${shape.upgrade}\r\n`;
  if (shape.close) text += 'Connection: close\r\n';
  return `${text}\r\n`;
}
