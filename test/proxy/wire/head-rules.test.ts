import test from 'ava';
import { judgeRequest, judgeResponse, judgeTrailers } from '../../../proxy/wire/head-rules.ts';
import { parseRequestHead, parseResponseHead } from '../../../proxy/wire/llhttp.ts';

const request = (text: string): ReturnType<typeof judgeRequest> => judgeRequest(parseRequestHead(Buffer.from(text, 'latin1')));
const response = (text: string, method: string = 'GET'): ReturnType<typeof judgeResponse> => judgeResponse(parseResponseHead(Buffer.from(text, 'latin1')), method);

const get = (fields: string): string => `GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n`;
const post = (fields: string): string => `POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n`;

const refused: readonly (readonly [string, string, RegExp, string?])[] = [
  ['no Host', 'GET http://a.test/ HTTP/1.1\r\n\r\n', /Host exactly once/],
  ['two Hosts', get('Host: b.test\r\n'), /Host exactly once/],
  ['two Hosts in other case', get('hOST: b.test\r\n'), /Host exactly once/],
  ['length and coding', post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'), /./],
  ['coding and length', post('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n'), /./],
  ['two lengths', post('Content-Length: 3\r\nContent-Length: 4\r\n'), /./],
  ['one length twice', post('Content-Length: 3\r\nContent-Length: 3\r\n'), /./],
  ['a list of lengths', post('Content-Length: 3, 3\r\n'), /./],
  ['a signed length', post('Content-Length: +3\r\n'), /./],
  ['a negative length', post('Content-Length: -3\r\n'), /./],
  ['a hexadecimal length', post('Content-Length: 0x3\r\n'), /./],
  ['an empty length', post('Content-Length:\r\n'), /./],
  ['a length beyond numbers', post('Content-Length: 99999999999999999999\r\n'), /./],
  ['a length not exactly a number here', post('Content-Length: 9007199254740993\r\n'), /whole number/],
  ['gzip before chunked', post('Transfer-Encoding: gzip, chunked\r\n'), /./],
  ['chunked twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), /./],
  ['chunked, chunked', post('Transfer-Encoding: chunked, chunked\r\n'), /./],
  ['identity', post('Transfer-Encoding: identity\r\n'), /./],
  ['xchunked', post('Transfer-Encoding: xchunked\r\n'), /./],
  ['chunked with a parameter', post('Transfer-Encoding: chunked;q=1\r\n'), /./],
  ['a quoted chunked', post('Transfer-Encoding: "chunked"\r\n'), /./],
  ['a coding in HTTP/1.0', 'POST http://a.test/ HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n', /1\.0/],
  ['a length with an underscore', post('Content_Length: 3\r\n'), /looks like/],
  ['a coding with an underscore', post('Transfer_Encoding: chunked\r\n'), /looks like/],
  ['space before the colon', post('Content-Length : 3\r\n'), /./],
  ['a folded field', get('X: a\r\n b\r\n'), /./],
  ['a folded first field', 'GET http://a.test/ HTTP/1.1\r\n Host: a.test\r\n\r\n', /./],
  ['a lone CR in a value', get('X: a\rb\r\n'), /./],
  ['a NUL in a value', get('X: a\0b\r\n'), /./],
  ['a control character in a value', get('X: a\x01b\r\n'), /./],
  ['DEL in a value', get('X: a\x7fb\r\n'), /./],
  ['an empty field name', get(': a\r\n'), /./],
  ['a field name with a space', get('X Y: a\r\n'), /./],
  ['a field name with a byte above ASCII', get('X\xe9: a\r\n'), /./],
  ['a line without colon', get('X\r\n'), /./],
  ['two spaces before the target', 'GET  http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', /one space/],
  ['two spaces after the target', 'GET http://a.test/  HTTP/1.1\r\nHost: a.test\r\n\r\n', /./],
  ['a tab for a space', 'GET\thttp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', /./],
  ['a space after the version', 'GET http://a.test/ HTTP/1.1 \r\nHost: a.test\r\n\r\n', /./],
  ['no version', 'GET http://a.test/\r\nHost: a.test\r\n\r\n', /./, '*'],
  ['HTTP/0.9', 'GET http://a.test/ HTTP/0.9\r\nHost: a.test\r\n\r\n', /./, '*'],
  ['HTTP/2.0', 'GET http://a.test/ HTTP/2.0\r\nHost: a.test\r\n\r\n', /1\.1/, 'not_supported'],
  ['HTTP/1.2', 'GET http://a.test/ HTTP/1.2\r\nHost: a.test\r\n\r\n', /./, '*'],
  ['a lower-case version', 'GET http://a.test/ http/1.1\r\nHost: a.test\r\n\r\n', /./],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\n', /./],
  ['an unknown method', 'FOO http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', /./],
  ['a method of RTSP', 'PLAY http://a.test/ RTSP/1.0\r\nHost: a.test\r\n\r\n', /./, '*'],
  ['a lower-case method', 'get http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', /./],
  ['a fragment', 'GET http://a.test/#x HTTP/1.1\r\nHost: a.test\r\n\r\n', /fragment/],
  ['a byte above ASCII in the target', 'GET http://a.test/\xe9 HTTP/1.1\r\nHost: a.test\r\n\r\n', /./],
  ['Connection: host', get('Connection: host\r\n'), /not hop-by-hop/],
  ['Connection: content-length', post('Content-Length: 3\r\nConnection: content-length\r\n'), /not hop-by-hop/],
  ['Connection: transfer-encoding', post('Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n'), /not hop-by-hop/],
  ['Connection: authorization', get('Connection: close, Authorization\r\n'), /not hop-by-hop/],
  ['Connection: cookie, in a second field', get('Connection: close\r\nConnection: cookie\r\n'), /not hop-by-hop/],
  ['Connection: sallyport-run', get('Connection: Sallyport-Run\r\n'), /not hop-by-hop/],
  ['Connection: with something that is no name', get('Connection: a b\r\n'), /list of names/],
  ['an unknown expectation', post('Content-Length: 3\r\nExpect: x\r\n'), /100-continue/],
  ['a CONNECT with a body', 'CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n', /no body/],
  ['a TRACE with a body', 'TRACE http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n', /no body/],
  ['101 fields', get('X: a\r\n'.repeat(100)), /100 fields/],
  ['200 fields', get('X: a\r\n'.repeat(200)), /./],
];
for (const [title, text, detail, code] of refused) {
  test(`a request with ${title} is refused`, (t) => {
    const judged = request(text);
    if (judged.kind === 'request') return t.fail(JSON.stringify(judged.head));
    if (code !== '*') t.is(judged.code, (code ?? 'bad_request') as typeof judged.code);
    t.regex(judged.detail, detail);
  });
}

test('a request is read as it stands, but for what it nominates', (t) => {
  const judged = request('POST http://a.test/b%20c?d=1 HTTP/1.1\r\nHost: a.test\r\nX-A:  one \t\r\nx-a: two\r\nEmpty:\r\nContent-Length: 7\r\nExpect: 100-Continue\r\nX-Hop: 1\r\nConnection: x-hop, close\r\n\r\n');
  t.deepEqual(judged, {
    kind: 'request', keep_alive: false,
    head: {
      method: 'POST', target: 'http://a.test/b%20c?d=1', version: '1.1', framing: { kind: 'length', bytes: 7 }, expects_continue: true, upgrade: undefined,
      headers: ['Host', 'a.test', 'X-A', 'one', 'x-a', 'two', 'Empty', '', 'Content-Length', '7', 'Expect', '100-Continue', 'Connection', 'x-hop, close'],
    },
  });
});

const facts: readonly (readonly [string, string, object])[] = [
  ['HTTP/1.1 is kept alive', get(''), { keep_alive: true }],
  ['HTTP/1.0 is not', 'GET http://a.test/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', { keep_alive: false }],
  ['Proxy-Connection: close closes', get('Proxy-Connection: close\r\n'), { keep_alive: false }],
  ['100 fields are taken', get('X: a\r\n'.repeat(99)), { keep_alive: true }],
  ['a length of 0 expects nothing', post('Content-Length: 0\r\nExpect: 100-continue\r\n'), { head: { expects_continue: false } }],
  ['an expectation in HTTP/1.0 is ignored', 'POST http://a.test/ HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n', { head: { expects_continue: false } }],
  ['chunked in capitals frames', post('Transfer-Encoding: CHUNKED\r\n'), { head: { framing: { kind: 'chunked' } } }],
  ['a WebSocket offer is told', get('Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n'), { head: { upgrade: 'websocket' } }],
  ['an h2c offer is not', get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'), { head: { upgrade: undefined } }],
  ['an offer in HTTP/1.0 is not', 'GET http://a.test/ HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', { head: { upgrade: undefined } }],
  ['an Upgrade that Connection does not name is not', get('Upgrade: websocket\r\n'), { head: { upgrade: undefined } }],
];
for (const [title, text, expected] of facts) {
  test(title, (t) => {
    const judged = request(text);
    t.is(judged.kind, 'request');
    t.like(judged, expected);
  });
}

const badAnswers: readonly (readonly [string, string])[] = [
  ['length and coding', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n'],
  ['one length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n'],
  ['gzip, chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
  ['gzip alone', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n'],
  ['a coding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\r\n\r\n'],
  ['a folded field', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n'],
  ['a control character in its reason', 'HTTP/1.1 200 O\x01K\r\n\r\n'],
  ['a lone CR in its reason', 'HTTP/1.1 200 O\rK\r\n\r\n'],
  ['a NUL in a value', 'HTTP/1.1 200 OK\r\nX: \0\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['a status above 599', 'HTTP/1.1 600 OK\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['ICY', 'ICY 200 OK\r\n\r\n'],
  ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
  ['Connection: content-length', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: content-length\r\n\r\n'],
  ['Connection: set-cookie', 'HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nConnection: set-cookie\r\n\r\n'],
  ['101 fields', `HTTP/1.1 200 OK\r\n${'X: a\r\n'.repeat(101)}\r\n`],
];
for (const [title, text] of badAnswers) {
  test(`an answer with ${title} is not HTTP to us`, (t) => {
    const judged = response(text);
    t.is(judged.kind, 'bad', JSON.stringify(judged));
    if (judged.kind === 'bad') t.is(judged.code, 'upstream_protocol');
  });
}

const framings: readonly (readonly [string, string, string, object])[] = [
  ['a length', 'GET', '200 OK\r\nContent-Length: 3', { kind: 'length', bytes: 3 }],
  ['chunks', 'GET', '200 OK\r\nTransfer-Encoding: chunked', { kind: 'chunked' }],
  ['neither', 'GET', '200 OK\r\nX: a', { kind: 'until_close' }],
  ['HEAD', 'HEAD', '200 OK\r\nContent-Length: 3', { kind: 'none' }],
  ['204', 'GET', '204 No Content\r\nContent-Length: 0', { kind: 'none' }],
  ['a Transfer-Encoding that Connection names too', 'GET', '200 OK\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding', { kind: 'chunked' }],
  ['304', 'GET', '304 Not Modified\r\nContent-Length: 3', { kind: 'none' }],
  ['103', 'GET', '103 Early Hints\r\nLink: x', { kind: 'none' }],
];
for (const [title, method, text, framing] of framings) {
  test(`an answer with ${title} is framed by it`, (t) => {
    const judged = response(`HTTP/1.1 ${text}\r\n\r\n`, method);
    t.like(judged, { kind: 'response', head: { framing, keep_alive: true } });
  });
}

test('after a 204 that announces a body the connection is nobody\'s', (t) => {
  t.like(response('HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n'), { head: { framing: { kind: 'none' }, keep_alive: false } });
  t.like(response('HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n'), { head: { framing: { kind: 'none' }, keep_alive: false } });
});

test('a reason may be empty or missing', (t) => {
  t.like(response('HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n'), { head: { status: 200, reason: '' } });
  t.like(response('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n'), { head: { status: 200, reason: '' } });
  t.like(response('HTTP/1.0 404 Not Here At All\r\n\r\n'), { head: { status: 404, reason: 'Not Here At All', version: '1.0', keep_alive: false } });
});

test('trailers that frame, address or identify are refused, others pass', (t) => {
  for (const name of ['Host', 'Content-Length', 'content_length', 'Transfer-Encoding', 'Authorization', 'Proxy-Authorization', 'Set-Cookie', 'Connection', 'Sallyport-Run', 'Trailer']) {
    t.is(typeof judgeTrailers(['X', '1', name, 'x']), 'string', name);
  }
  t.deepEqual(judgeTrailers(['Server-Timing', 'a', 'X', '']), ['Server-Timing', 'a', 'X', '']);
});
