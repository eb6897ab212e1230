import type { HeaderList, RequestHead, ResponseHead } from '../exchange.ts';
import { fieldValues, hopsLeft, listMembers } from './fields.ts';

/**
 * Heads as we send them, made from what was judged: order, case and duplicates kept; fields of one hop (RFC 9110, section 7.6.1),
 * `Proxy-*` and what `Connection` nominates left out. `head-rules.ts` has refused nominations that matter.
 */

const hopByHop = new Set([
  'connection', 'keep-alive', 'te', 'transfer-encoding', 'upgrade', 'http2-settings',
  // Fields of a head on this hop only; each is written anew where it applies.
  'trailer', 'expect',
]);
/** Lengths of the names above: other names are not lowered to be looked up. */
const hopLengths = new Set([...hopByHop].map((name) => name.length));

function nominated(headers: HeaderList): readonly string[] {
  const options = listMembers(fieldValues(headers, 'connection'));
  return options.filter((option) => option !== 'close' && option !== 'keep-alive');
}

/** The value to write for each field, or undefined to leave it out. */
function endToEnd(headers: HeaderList, write: (name: string, lower: string | undefined, value: string) => string): string {
  const options = nominated(headers);
  let text = '';
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    const first = name.charCodeAt(0);
    if ((first === 80 || first === 112) && name.length > 6 && name.slice(0, 6).toLowerCase() === 'proxy-') continue;
    let lower: string | undefined;
    if (hopLengths.has(name.length)) {
      lower = name.toLowerCase();
      if (hopByHop.has(lower)) continue;
    }
    if (options.length > 0 && options.includes(lower ?? name.toLowerCase())) continue;
    text += write(name, lower, headers[index + 1]!);
  }
  return text;
}

const plain = (name: string, _lower: string | undefined, value: string): string => `${name}: ${value}\r\n`;

/** True when the sender of these fields takes trailers (`TE: trailers`). */
export function takesTrailers(headers: HeaderList): boolean {
  return listMembers(fieldValues(headers, 'te')).includes('trailers');
}

function trailerField(headers: HeaderList): string {
  const names = fieldValues(headers, 'trailer');
  return names.length === 0 ? '' : `Trailer: ${names.join(', ')}\r\n`;
}

/** `target` and `authority` are the permit's: canonical, and the very ones that were judged. */
export function serialiseRequest(head: RequestHead, target: string, authority: string): string {
  let hasHost = false;
  const hops = hopsLeft(head);
  const fields = endToEnd(head.headers, (name, _lower, value) => {
    if (name.length === 4 && name.toLowerCase() === 'host') {
      hasHost = true;
      return `${name}: ${authority}\r\n`;
    }
    // One hop less (RFC 9110, section 7.6.2); `accept/` has refused what may go no further.
    if (hops !== undefined && name.toLowerCase() === 'max-forwards') return `${name}: ${hops - 1}\r\n`;
    return `${name}: ${value}\r\n`;
  });
  let text = `${head.method} ${target} HTTP/1.1\r\n`;
  if (!hasHost) text += `Host: ${authority}\r\n`;
  text += fields;
  if (takesTrailers(head.headers)) text += 'TE: trailers\r\nConnection: TE\r\n';
  if (head.expects_continue) text += 'Expect: 100-continue\r\n';
  if (head.framing.kind === 'chunked') text += `${trailerField(head.headers)}Transfer-Encoding: chunked\r\n`;
  return `${text}\r\n`;
}

export interface ResponseShape {
  /** The body that follows is chunked by us. */
  readonly chunked: boolean;
  readonly trailers: boolean;
  readonly close: boolean;
}

export function serialiseResponse(head: ResponseHead, shape: ResponseShape): string {
  // 1xx and 204 have no length (RFC 9110, section 8.6); one that says so all the same would desynchronise a lenient client.
  const lengthless = head.status < 200 || head.status === 204;
  const fields = endToEnd(head.headers, lengthless
    ? (name, lower, value) => (name.length === 14 && name.toLowerCase() === 'content-length' ? '' : plain(name, lower, value))
    : plain);
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n${fields}`;
  if (shape.chunked) text += `${shape.trailers ? trailerField(head.headers) : ''}Transfer-Encoding: chunked\r\n`;
  if (shape.close) text += 'Connection: close\r\n';
  return `${text}\r\n`;
}
