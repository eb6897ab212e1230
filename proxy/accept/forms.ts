import type { Form, RequestHead } from '../exchange.ts';
import { hopsLeft, listMembers } from '../wire/fields.ts';

/** What the target's form says where it arrived (RFC 9112, section 3.2), or why we don't take it. */
export type Classified =
  | Form
  | { readonly kind: 'refused'; readonly code: 'bad_request' | 'not_supported'; readonly detail: string };

const refused = (code: 'bad_request' | 'not_supported', detail: string): Classified => ({ kind: 'refused', code, detail });

/** `inside` is the form of requests within a CONNECT whose inside is judged; undefined on the proxy's own listeners. */
export function classify(head: RequestHead, inside: Extract<Form, { kind: 'inside' }> | undefined): Classified {
  const { method, target } = head;
  const hops = hopsLeft(head);
  if (Number.isNaN(hops)) return refused('bad_request', 'Max-Forwards is not one whole number, once.');
  // RFC 9110, section 7.6.2: then the answer is ours, and neither method has one here.
  if (hops === 0) return refused('not_supported', `${method} may go no further (Max-Forwards: 0), and this proxy does not answer it itself.`);
  if (inside !== undefined) {
    if (method === 'CONNECT') return refused('not_supported', 'A CONNECT inside a CONNECT is not supported.');
    if (!target.startsWith('/')) return refused('not_supported', 'Inside a CONNECT, name the target by its path: GET /path HTTP/1.1.');
    return inside;
  }
  if (method === 'CONNECT') {
    if (/^[^/?@]+:[0-9]{1,5}$/.test(target)) return { kind: 'connect' };
    return refused('bad_request', 'CONNECT takes HOST:PORT and nothing else.');
  }
  // RFC 9112, section 3.2.4: it would have to go out as `OPTIONS *`, which has no path to be judged by.
  if (method === 'OPTIONS' && /^http:\/\/[^/?]*$/i.test(target)) return refused('not_supported', 'OPTIONS of a whole server is not supported: name a path.');
  if (/^http:\/\//i.test(target)) return { kind: 'absolute' };
  if (/^ws:\/\//i.test(target)) {
    return listMembers([head.upgrade ?? '']).includes('websocket') ? { kind: 'absolute' } : refused('bad_request', 'An address of a web socket is asked for with Connection: Upgrade and Upgrade: websocket.');
  }
  if (/^(https|wss):\/\//i.test(target)) return refused('not_supported', 'For https and wss use CONNECT HOST:443; the proxy does not fetch it for you.');
  if (target.startsWith('/') || target === '*') {
    return refused('bad_request', 'This is a proxy, not a web server: name the whole address (GET http://HOST/PATH HTTP/1.1), or use CONNECT.');
  }
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(target)?.[1];
  if (scheme !== undefined) return refused('not_supported', `The scheme ${scheme.slice(0, 16).toLowerCase()} is not supported.`);
  return refused('bad_request', 'The target is not an address: send GET http://HOST/PATH HTTP/1.1, or CONNECT HOST:PORT.');
}
