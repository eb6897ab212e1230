import test from 'ava';
import type { HeaderList, RequestHead, ResponseHead } from '../../../proxy/exchange.ts';
import { serialiseRequest, serialiseResponse } from '../../../proxy/wire/serialise.ts';

const requestHead = (headers: HeaderList, rest: Partial<RequestHead> = {}): RequestHead => ({
  method: 'GET', target: 'http://A.test/x', version: '1.1', headers, framing: { kind: 'none' }, expects_continue: false, upgrade: undefined, ...rest,
});
const responseHead = (headers: HeaderList, rest: Partial<ResponseHead> = {}): ResponseHead => ({
  status: 200, reason: 'OK', version: '1.1', headers, framing: { kind: 'none' }, keep_alive: true, ...rest,
});
const plain = { chunked: false, trailers: false, close: false };

test('a request is written with the permit\'s target and authority, its fields in order, case and number', (t) => {
  const head = requestHead(['X-b', '1', 'hOst', 'A.test', 'x-B', '2', 'Authorization', 'mine', 'Forwarded', 'for=x', 'Empty', '']);
  t.is(serialiseRequest(head, '/x', 'a.test:81'), 'GET /x HTTP/1.1\r\nX-b: 1\r\nhOst: a.test:81\r\nx-B: 2\r\nAuthorization: mine\r\nForwarded: for=x\r\nEmpty: \r\n\r\n');
});

test('a request without Host gets one', (t) => {
  t.is(serialiseRequest(requestHead(['A', 'b'], { version: '1.0' }), '/x', 'a.test'), 'GET /x HTTP/1.1\r\nHost: a.test\r\nA: b\r\n\r\n');
});

const dropped: readonly (readonly [string, HeaderList])[] = [
  ['Connection', ['Connection', 'close']], ['Keep-Alive', ['Keep-Alive', 'timeout=5']], ['TE', ['TE', 'gzip']], ['Upgrade', ['Upgrade', 'h2c']],
  ['HTTP2-Settings', ['HTTP2-Settings', 'x']], ['Proxy-Connection', ['proxy-connection', 'close']], ['Proxy-Authorization', ['PROXY-AUTHORIZATION', 'x']], ['Proxy-', ['Proxy-', 'x']],
  ['any Proxy-*', ['Proxy-Whatever', 'x']], ['Expect without a body', ['Expect', '100-continue']], ['Trailer without chunks', ['Trailer', 'X']],
  ['what Connection nominates', ['X-Hop', '1', 'Connection', 'x-hop, keep-alive', 'x-HOP', '2']],
  ['what a second Connection nominates', ['X-Hop', '1', 'Connection', 'close', 'Connection', 'X-Hop']],
];
for (const [title, headers] of dropped) {
  test(`${title} ends at this hop, in requests and answers`, (t) => {
    t.is(serialiseRequest(requestHead(['Host', 'a', ...headers, 'Z', '1']), '/', 'a'), 'GET / HTTP/1.1\r\nHost: a\r\nZ: 1\r\n\r\n');
    t.is(serialiseResponse(responseHead([...headers, 'Z', '1']), plain), 'HTTP/1.1 200 OK\r\nZ: 1\r\n\r\n');
  });
}

test('framing, trailers and the expectation are written anew', (t) => {
  const head = requestHead(['Host', 'a', 'Transfer-Encoding', 'chunked', 'TE', 'trailers', 'Connection', 'TE', 'Trailer', 'X-T', 'Expect', '100-continue'], { framing: { kind: 'chunked' }, expects_continue: true });
  t.is(serialiseRequest(head, '/', 'a'), 'GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nExpect: 100-continue\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n');
  const answer = responseHead(['Transfer-Encoding', 'chunked', 'Trailer', 'X-T'], { framing: { kind: 'chunked' } });
  t.is(serialiseResponse(answer, { chunked: true, trailers: true, close: true }), 'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n');
  t.is(serialiseResponse(answer, plain), 'HTTP/1.1 200 OK\r\n\r\n');
});

test('a length goes with HEAD and 304, and not with 204 and 1xx', (t) => {
  for (const [status, kept] of [[200, true], [304, true], [204, false], [103, false]] as const) {
    t.is(serialiseResponse(responseHead(['Content-Length', '5'], { status, reason: '' }), plain), `HTTP/1.1 ${status} \r\n${kept ? 'Content-Length: 5\r\n' : ''}\r\n`);
  }
});
