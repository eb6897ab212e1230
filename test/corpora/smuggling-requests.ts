import type { ErrorCode } from '../../contracts/errors.ts';

/**
 * Requests that some reader takes for two, for none, or for another one. In `sent` and `received`, `@` stands for the target's scheme and
 * authority, `^` for the authority, `H` alone on a line for a good Host field, `{smuggled}` for a whole request that would be
 * allowed, `{length}` for the number of its bytes.
 */
export interface RequestShape {
  readonly title: string;
  readonly sent: string;
  readonly expected:
    /** One answer with this code, and the connection closed: a request behind it is never looked at. The origin hears nothing. */
    | { readonly kind: 'refused'; readonly code: ErrorCode | `core.${string}` }
    /** One answer with this code, and the connection goes on behind the body. The origin hears nothing of it. */
    | { readonly kind: 'kept'; readonly code: ErrorCode | `core.${string}` }
    /** These bytes reach the origin, and none but these. */
    | { readonly kind: 'received'; readonly bytes: string }
    /** The body turns out bad under way: the origin hears this head, good chunks, no last chunk, and the end of the connection; the client a 400 and the end. */
    | { readonly kind: 'cut'; readonly head: string };
}

const post = (fields: string, body: string = ''): string => `POST @/ HTTP/1.1\r\nH\r\n${fields}\r\n${body}`;
const get = (fields: string): string => `GET @/ HTTP/1.1\r\nH\r\n${fields}\r\n`;
const chunks = '0\r\n\r\n{smuggled}';

const badRequests: readonly (readonly [string, string])[] = [
  // Two framings.
  ['CL.TE', post('Content-Length: 6\r\nTransfer-Encoding: chunked\r\n', chunks)],
  ['TE.CL', post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', '5c\r\n{smuggled}\r\n0\r\n\r\n')],
  ['TE.CL of length 0', post('Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', chunks)],
  ['GET with CL and TE', `GET @/ HTTP/1.1\r\nH\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`],
  ['two lengths, CL.CL', post('Content-Length: 0\r\nContent-Length: {length}\r\n', '{smuggled}')],
  ['two lengths, the same', post('Content-Length: 2\r\nContent-Length: 2\r\n', 'hi')],
  ['two lengths in another case', post('Content-Length: 0\r\ncontent-length: {length}\r\n', '{smuggled}')],
  ['a list of lengths', post('Content-Length: 0, {length}\r\n', '{smuggled}')],
  ['a list of the same lengths', post('Content-Length: 2, 2\r\n', 'hi')],
  // Lengths that are not one number (CVE-2018-7159, CVE-2020-15049, CVE-2023-40225).
  ['a length with a plus', post('Content-Length: +0\r\n', '{smuggled}')],
  ['a negative length', post('Content-Length: -1\r\n', '{smuggled}')],
  ['a length with a space in it (CVE-2018-7159)', post('Content-Length: 0 {length}\r\n', '{smuggled}')],
  ['a length with a plus behind a tab (CVE-2020-15049)', post('Content-Length: \t+{length}\r\n', '{smuggled}')],
  ['an empty length (CVE-2023-40225)', post('Content-Length:\r\n', '{smuggled}')],
  ['a quoted length', post('Content-Length: "{length}"\r\n', '{smuggled}')],
  ['a hexadecimal length', post('Content-Length: 0x2c\r\n', '{smuggled}')],
  ['an octal length', post('Content-Length: 0{length}\r\n', '{smuggled}')],
  ['a length with a fraction', post('Content-Length: 0.0\r\n', '{smuggled}')],
  ['a length in powers of ten', post('Content-Length: 1e1\r\n', '{smuggled}')],
  ['a length with underscores', post('Content-Length: 4_4\r\n', '{smuggled}')],
  ['a length in full-width digits', post('Content-Length: \xef\xbc\x90\r\n', '{smuggled}')],
  ['a length of 2^64', post('Content-Length: 18446744073709551616\r\n', '{smuggled}')],
  ['a length of 2^53 and one', post('Content-Length: 9007199254740993\r\n', '{smuggled}')],
  // Codings that are not chunked, once (CVE-2022-32213, CVE-2022-32215, CVE-2019-15605, CVE-2020-8287, CVE-2022-1705, CVE-2024-1135).
  ['TE.TE with xchunked', post('Transfer-Encoding: xchunked\r\n', chunks)],
  ['TE.TE with chunkedchunked (CVE-2022-32213)', post('Transfer-Encoding: chunkedchunked\r\n', chunks)],
  ['TE.TE twice (CVE-2020-8287)', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', chunks)],
  ['TE.TE twice the same', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', chunks)],
  ['TE.TE in two cases', post('Transfer-Encoding: chunked\r\ntransfer-encoding: x\r\n', chunks)],
  ['identity, chunked', post('Transfer-Encoding: identity, chunked\r\n', chunks)],
  ['gzip, chunked', post('Transfer-Encoding: gzip, chunked\r\n', chunks)],
  ['chunked, chunked', post('Transfer-Encoding: chunked, chunked\r\n', chunks)],
  ['chunked, gzip', post('Transfer-Encoding: chunked, gzip\r\n', chunks)],
  ['identity alone', post('Transfer-Encoding: identity\r\n', chunks)],
  ['gzip alone', post('Transfer-Encoding: gzip\r\n', chunks)],
  ['an empty coding', post('Transfer-Encoding:\r\n', chunks)],
  ['chunked with a comma behind', post('Transfer-Encoding: chunked,\r\n', chunks)],
  ['chunked with a comma before', post('Transfer-Encoding: , chunked\r\n', chunks)],
  ['chunked with a parameter', post('Transfer-Encoding: chunked;q=1\r\n', chunks)],
  ['chunked in quotes', post('Transfer-Encoding: "chunked"\r\n', chunks)],
  ['chunked behind a vertical tab (CVE-2019-15605)', post('Transfer-Encoding: \x0bchunked\r\n', chunks)],
  ['chunked before a form feed', post('Transfer-Encoding: chunked\x0c\r\n', chunks)],
  ['chunked behind a no-break space', post('Transfer-Encoding: \xa0chunked\r\n', chunks)],
  ['chunked with a NUL', post('Transfer-Encoding: chunked\0\r\n', chunks)],
  ['TE in HTTP/1.0', `POST @/ HTTP/1.0\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`],
  ['TE and CL in HTTP/1.0', `POST @/ HTTP/1.0\r\nH\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`],
  // Fields that some readers take for others (CVE-2021-22959, CVE-2019-16276, CVE-2020-8201, CVE-2023-25725, CVE-2024-27982).
  ['TE with a space before the colon (CVE-2021-22959)', post('Transfer-Encoding : chunked\r\n', chunks)],
  ['TE with a tab before the colon', post('Transfer-Encoding\t: chunked\r\n', chunks)],
  ['CL with a space before the colon (CVE-2019-16276)', post('Content-Length : {length}\r\n', '{smuggled}')],
  ['CL in a first line with a space before it (CVE-2024-27982)', 'POST @/ HTTP/1.1\r\n Content-Length: {length}\r\nH\r\n\r\n{smuggled}'],
  ['Transfer_Encoding', post('Transfer_Encoding: chunked\r\nContent-Length: 5\r\n', chunks)],
  ['Content_Length', post('Content_Length: {length}\r\n', '{smuggled}')],
  ['Content Length', post('Content Length: {length}\r\n', '{smuggled}')],
  ['Content CR Length (CVE-2020-8201)', post('Content\rLength: {length}\r\n', '{smuggled}')],
  ['a field without a name (CVE-2023-25725)', post(': x\r\nContent-Length: {length}\r\n', '{smuggled}')],
  ['a field without a colon', post('Content-Length\r\n', '{smuggled}')],
  ['a field name with a NUL', post('Content-Length\0: {length}\r\n', '{smuggled}')],
  ['a field name with an umlaut', post('Content-L\xe4ngth: {length}\r\n', '{smuggled}')],
  // Line ends and folds (CVE-2022-32214, CVE-2022-32215, CVE-2022-35256, CVE-2023-30589, CVE-2025-23167).
  ['TE folded (CVE-2022-32215)', post('Transfer-Encoding:\r\n chunked\r\n', chunks)],
  ['identity folded behind chunked (CVE-2022-32215)', post('Transfer-Encoding: chunked\r\n , identity\r\n', chunks)],
  ['CL folded, 0.CL', post('Content-Length:\r\n {length}\r\n', '{smuggled}')],
  ['a fold by a tab', post('X: a\r\n\tContent-Length: {length}\r\n', '{smuggled}')],
  ['TE behind a lone LF (CVE-2022-32214)', post('X: a\nTransfer-Encoding: chunked\r\n', chunks)],
  ['CL behind a lone LF in an empty field (CVE-2022-35256)', post('X:\nContent-Length: {length}\r\n', '{smuggled}')],
  ['TE behind a lone CR', post('X: a\rTransfer-Encoding: chunked\r\n', chunks)],
  ['CL behind a lone CR in an empty field (CVE-2023-30589)', post('X:\rContent-Length: {length}\r\n', '{smuggled}')],
  ['a lone CR behind a length', post('Content-Length: {length}\r\r\n', '{smuggled}')],
  ['TE behind a NUL', post('X: a\0\r\nTransfer-Encoding: chunked\r\n', chunks)],
  ['bare LF throughout', 'GET @/ HTTP/1.1\nH\n\n{smuggled}'],
  ['a bare LF at the end of the head', 'GET @/ HTTP/1.1\r\nH\r\n\n{smuggled}'],
  ['a bare CR at the end of the head (CVE-2025-23167)', 'GET @/ HTTP/1.1\r\nH\r\n\r{smuggled}'],
  ['a bare LF behind the request line', 'GET @/ HTTP/1.1\nH\r\n\r\n'],
  // Fields called hop-by-hop so that they are dropped.
  ['Connection: content-length', post('Content-Length: {length}\r\nConnection: content-length\r\n', '{smuggled}')],
  ['Connection: Content-Length among others', post('Content-Length: {length}\r\nConnection: close, Content-Length\r\n', '{smuggled}')],
  ['Connection: transfer-encoding', post('Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n', '0\r\n\r\n')],
  ['Connection: host', get('Connection: close, host\r\n')],
  ['Connection: authorization', get('Authorization: x\r\nConnection: authorization\r\n')],
  ['Connection: cookie', get('Cookie: x\r\nConnection: cookie\r\n')],
  ['Connection: expect', post('Content-Length: 2\r\nExpect: 100-continue\r\nConnection: expect\r\n')],
  ['a Connection that is no list of names', get('Connection: "content-length"\r\n')],
  ['a Connection with a no-break space', get('Connection: \xa0content-length\r\n')],
  ['a Connection of 33 members', get(`Connection: ${Array.from({ length: 33 }, (_, index) => `x-${index}`).join(', ')}\r\n`)],
  // Host.
  ['two Hosts', get('Host: evil.test\r\n')],
  ['two Hosts, the same', get('H\r\n')],
  ['two Hosts, one with a space before the colon', get('Host : evil.test\r\n')],
  ['no Host', 'GET @/ HTTP/1.1\r\nX: y\r\n\r\n{smuggled}'],
  ['Host folded', 'GET @/ HTTP/1.1\r\nHost:\r\n ^\r\n\r\n'],
  // Request lines.
  ['two spaces before the target', 'GET  @/ HTTP/1.1\r\nH\r\n\r\n'],
  ['two spaces before the version', 'GET @/  HTTP/1.1\r\nH\r\n\r\n'],
  ['a tab before the target', 'GET\t@/ HTTP/1.1\r\nH\r\n\r\n'],
  ['a tab before the version', 'GET @/\tHTTP/1.1\r\nH\r\n\r\n'],
  ['a space behind the version', 'GET @/ HTTP/1.1 \r\nH\r\n\r\n'],
  ['a space before the method', ' GET @/ HTTP/1.1\r\nH\r\n\r\n'],
  ['five empty lines before the request', '\r\n\r\n\r\n\r\n\r\nGET @/ HTTP/1.1\r\nH\r\n\r\n'],
  ['a second request line in the target (CVE-2023-25690)', 'GET @/ HTTP/1.1 GET /smuggled HTTP/1.1\r\nH\r\n\r\n'],
  ['a control character in the target', 'GET @/\x01 HTTP/1.1\r\nH\r\n\r\n'],
  ['an umlaut in the target', 'GET @/\xe4 HTTP/1.1\r\nH\r\n\r\n'],
  ['a backslash in the authority', 'GET http://evil.test\\.^/ HTTP/1.1\r\nH\r\n\r\n'],
  ['a method of another protocol', 'SETUP @/ HTTP/1.1\r\nH\r\n\r\n'],
  ['a fragment', 'GET @/x#y HTTP/1.1\r\nH\r\n\r\n'],
  ['HTTP/1.2', 'GET @/ HTTP/1.2\r\nH\r\n\r\n'],
  ['HTTP/1.10', 'GET @/ HTTP/1.10\r\nH\r\n\r\n'],
  ['HTTP/01.1', 'GET @/ HTTP/01.1\r\nH\r\n\r\n'],
  ['HTTP/9.9', 'GET @/ HTTP/9.9\r\nH\r\n\r\n'],
  ['a version in lower case', 'GET @/ http/1.1\r\nH\r\n\r\n'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{smuggled}'],
  ['a method in lower case', 'get @/ HTTP/1.1\r\nH\r\n\r\n'],
  ['a method with a separator', 'GE(T @/ HTTP/1.1\r\nH\r\n\r\n'],
  ['a method that goes on', 'GETX @/ HTTP/1.1\r\nH\r\n\r\n'],
  ['a method of 60,000 letters', `${'A'.repeat(60_000)} @/ HTTP/1.1\r\nH\r\n\r\n`],
  ['a method *', '* @/ HTTP/1.1\r\nH\r\n\r\n'],
  // Expectations and bodies where none belongs.
  ['another expectation', post('Content-Length: 2\r\nExpect: y 100-continue\r\n', 'hi')],
  ['an expectation and another', post('Content-Length: 2\r\nExpect: 100-continue, x\r\n', 'hi')],
  ['a TRACE with a body', 'TRACE @/ HTTP/1.1\r\nH\r\nContent-Length: {length}\r\n\r\n{smuggled}'],
  ['a CONNECT with a body', 'CONNECT ^ HTTP/1.1\r\nH\r\nContent-Length: {length}\r\n\r\n{smuggled}'],
  ['a CONNECT with chunks', `CONNECT ^ HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`],
  // Sizes.
  ['101 fields', get('X: y\r\n'.repeat(101))],
  ['a head of more than 64 KiB', get(`X: ${'y'.repeat(65_600)}\r\n`)],
  ['a TLS ClientHello where a request belongs', '\x16\x03\x01\x00\x05hello{smuggled}'],
];

/** What of the request is clear enough for the origin to hear its head and the chunks before the bad one. */
const badChunks: readonly (readonly [string, string])[] = [
  ['no hexadecimal size', 'zz\r\nabc\r\n'],
  ['a size too small', '3\r\nabcd\r\n'],
  ['a size too large', '6\r\nabc\r\n0\r\n\r\n'],
  ['a bare LF behind the size (CVE-2025-22871)', '3\nabc\r\n'],
  ['a bare LF behind the chunk', '3\r\nabc\n0\r\n\r\n'],
  ['a bare CR behind the chunk', '3\r\nabc\r0\r\n\r\n'],
  ['bytes between the chunk and its CRLF (SPILL)', '3\r\nabcXX\r\n0\r\n\r\n'],
  ['no CRLF behind the chunk', '3\r\nabc0\r\n\r\n'],
  ['a negative size', '-1\r\n'],
  ['a size with a plus', '+3\r\nabc\r\n'],
  ['a size with 0x', '0x3\r\nabc\r\n'],
  ['a size with a space behind (CVE-2021-22960)', '3 \r\nabc\r\n'],
  ['a size with a space before', ' 3\r\nabc\r\n'],
  ['a size with a tab behind', '3\t\r\nabc\r\n'],
  ['a size of 2^64 and one', '10000000000000001\r\nabc\r\n'],
  ['an empty size', '\r\nabc\r\n'],
  ['a bare LF in an extension (TERM.EXT, CVE-2025-58056)', '3;a\nabc\r\n0\r\n\r\n'],
  ['a bare LF behind an empty extension', '3;\nabc\r\n'],
  ['a bare CR in an extension', '3;a\rabc\r\n'],
  ['an empty extension', '3;\r\nabc\r\n'],
  ['a NUL in an extension', '3;a=\0\r\nabc\r\n'],
  ['a line end in a quoted extension', '3;a="\r\n"\r\nabc\r\n'],
  ['a quote that stays open', '3;a="b\r\nabc\r\n'],
  ['more extension than anyone needs (CVE-2024-22019)', `3;${'a'.repeat(20_000)}`],
  ['a bare LF at the end of the trailers', '0\r\nX: a\n\r\n'],
  ['a bare LF instead of the last CRLF', '0\r\n\n'],
  ['a bare CR instead of the last CRLF', '0\r\n\rX'],
  ['a folded trailer', '0\r\nX: a\r\n b\r\n\r\n'],
  ['a trailer with a space before the colon', '0\r\nX : a\r\n\r\n'],
  ['a trailer with a NUL', '0\r\nX: \0\r\n\r\n'],
  ['a trailer without a name', '0\r\n: a\r\n\r\n'],
  ['a trailer that frames', '0\r\nContent-Length: 3\r\n\r\n'],
  ['a trailer that chunks', '0\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a trailer that addresses', '0\r\nHost: evil.test\r\n\r\n'],
  ['a trailer that identifies', '0\r\nAuthorization: x\r\n\r\n'],
  ['a trailer that identifies to proxies', '0\r\nProxy-Authorization: x\r\n\r\n'],
  ['a trailer that nominates', '0\r\nConnection: x\r\n\r\n'],
  ['101 trailers', `0\r\n${'X: y\r\n'.repeat(101)}\r\n`],
];

const others: readonly RequestShape[] = [
  {
    title: 'CL.0: a GET with a body keeps it framed',
    sent: 'GET @/ HTTP/1.1\r\nH\r\nContent-Length: {length}\r\n\r\n{smuggled}',
    expected: { kind: 'received', bytes: 'GET / HTTP/1.1\r\nHost: ^\r\nContent-Length: {length}\r\n\r\n{smuggled}' },
  },
  {
    title: 'TE.0: an OPTIONS with chunks keeps them framed',
    sent: 'OPTIONS @/x HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n',
    expected: { kind: 'received', bytes: 'OPTIONS /x HTTP/1.1\r\nHost: ^\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n' },
  },
  {
    title: 'a DELETE with chunks keeps them framed',
    sent: 'DELETE @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n',
    expected: { kind: 'received', bytes: 'DELETE / HTTP/1.1\r\nHost: ^\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n' },
  },
  {
    title: 'chunked in capitals, sizes with zeros and extensions go out plain',
    sent: post('Transfer-Encoding: CHUNKED\r\n', '0000000000000000000003;a="b;c"\r\nabc\r\n00\r\n\r\n'),
    expected: { kind: 'received', bytes: 'POST / HTTP/1.1\r\nHost: ^\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' },
  },
  {
    title: 'harmless trailers pass with their chunks',
    sent: post('Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n', '3\r\nabc\r\n0\r\nX-Sum:  1 \r\nX-Empty:\r\n\r\n'),
    expected: { kind: 'received', bytes: 'POST / HTTP/1.1\r\nHost: ^\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Empty: \r\n\r\n' },
  },
  {
    title: 'a body in HTTP/1.0 without a length is none, and what follows is dropped',
    sent: 'POST @/ HTTP/1.0\r\nH\r\n\r\n{smuggled}',
    expected: { kind: 'received', bytes: 'POST / HTTP/1.1\r\nHost: ^\r\n\r\n' },
  },
  {
    title: 'what follows Connection: close is dropped',
    sent: 'GET @/ HTTP/1.1\r\nH\r\nConnection: close\r\n\r\n{smuggled}',
    expected: { kind: 'received', bytes: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n' },
  },
  {
    title: 'what follows a request of HTTP/1.0 is dropped, whatever it says',
    sent: 'GET @/ HTTP/1.0\r\nH\r\nConnection: keep-alive\r\n\r\n{smuggled}',
    expected: { kind: 'received', bytes: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n' },
  },
  {
    title: 'four empty lines before a request are skipped',
    sent: '\r\n\r\n\r\n\r\nGET @/ HTTP/1.1\r\nH\r\n\r\n',
    expected: { kind: 'received', bytes: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n' },
  },
  {
    title: 'white space around values is not passed on',
    sent: get('X:\t  a b \t\r\n'),
    expected: { kind: 'received', bytes: 'GET / HTTP/1.1\r\nHost: ^\r\nX: a b\r\n\r\n' },
  },
  {
    title: 'a nominated field, and what is for this hop, are not passed on',
    sent: get('Proxy-Authorization: Basic eDp5\r\nproxy-connection: keep-alive\r\nKeep-Alive: 5\r\nTE: gzip\r\nConnection: TE, X-Secret\r\nX-Secret: 1\r\nProxy-Anything: 2\r\n'),
    expected: { kind: 'received', bytes: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n' },
  },
  {
    title: 'an h2c offer with its settings is not passed on',
    sent: get('Expect: 100-continue\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'),
    expected: { kind: 'received', bytes: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n' },
  },
  {
    title: 'the scheme in capitals is the same scheme',
    sent: 'GET HTTP://^/ HTTP/1.1\r\nH\r\n\r\n',
    expected: { kind: 'received', bytes: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n' },
  },
  {
    title: 'a target without a path has the path /, and a query keeps its place',
    sent: 'GET @?x=1 HTTP/1.1\r\nH\r\n\r\n',
    expected: { kind: 'received', bytes: 'GET /?x=1 HTTP/1.1\r\nHost: ^\r\n\r\n' },
  },
  {
    title: 'Max-Forwards counts down for OPTIONS and TRACE',
    sent: 'TRACE @/ HTTP/1.1\r\nH\r\nmax-forwards: 2\r\n\r\n',
    expected: { kind: 'received', bytes: 'TRACE / HTTP/1.1\r\nHost: ^\r\nmax-forwards: 1\r\n\r\n' },
  },
  {
    title: 'Max-Forwards says nothing of a GET',
    sent: get('Max-Forwards: 0\r\n'),
    expected: { kind: 'received', bytes: 'GET / HTTP/1.1\r\nHost: ^\r\nMax-Forwards: 0\r\n\r\n' },
  },
  { title: 'a TRACE that may go no further', sent: 'TRACE @/ HTTP/1.1\r\nH\r\nMax-Forwards: 0\r\n\r\n', expected: { kind: 'kept', code: 'not_supported' } },
  { title: 'an OPTIONS that may go no further', sent: 'OPTIONS @/x HTTP/1.1\r\nH\r\nMax-Forwards: 00\r\n\r\n', expected: { kind: 'kept', code: 'not_supported' } },
  { title: 'two Max-Forwards', sent: 'TRACE @/ HTTP/1.1\r\nH\r\nMax-Forwards: 1\r\nMax-Forwards: 0\r\n\r\n', expected: { kind: 'kept', code: 'bad_request' } },
  { title: 'an OPTIONS of a whole server', sent: 'OPTIONS @ HTTP/1.1\r\nH\r\n\r\n', expected: { kind: 'kept', code: 'not_supported' } },
  { title: 'OPTIONS *', sent: 'OPTIONS * HTTP/1.1\r\nH\r\n\r\n', expected: { kind: 'kept', code: 'bad_request' } },
  { title: 'origin form', sent: 'GET / HTTP/1.1\r\nH\r\n\r\n', expected: { kind: 'kept', code: 'bad_request' } },
  { title: 'a Host of two names', sent: 'GET @/ HTTP/1.1\r\nHost: ^, evil.test\r\n\r\n', expected: { kind: 'kept', code: 'ambiguous_target' } },
  { title: 'an empty Host', sent: 'GET @/ HTTP/1.1\r\nHost:\r\n\r\n', expected: { kind: 'kept', code: 'ambiguous_target' } },
  { title: 'a Host of another name', sent: 'GET @/ HTTP/1.1\r\nHost: evil.test\r\n\r\n', expected: { kind: 'kept', code: 'core.host_mismatch' } },
  { title: 'a Host of another port', sent: 'GET @/ HTTP/1.1\r\nHost: ^0\r\n\r\n', expected: { kind: 'kept', code: 'ambiguous_target' } },
  { title: 'userinfo in the authority', sent: 'GET http://evil.test@^/ HTTP/1.1\r\nH\r\n\r\n', expected: { kind: 'kept', code: 'ambiguous_target' } },
  { title: 'a line end, encoded, in the path', sent: 'GET @/%0d%0aX:y HTTP/1.1\r\nH\r\n\r\n', expected: { kind: 'kept', code: 'ambiguous_target' } },
  { title: 'a refused body that looks like a request is dropped whole', sent: 'POST http://denied.test/ HTTP/1.1\r\nHost: denied.test\r\nContent-Length: {length}\r\n\r\n{smuggled}', expected: { kind: 'kept', code: 'policy_denied' } },
  {
    title: 'a refused body in chunks is not waited for, and never a request',
    sent: `POST http://denied.test/ HTTP/1.1\r\nHost: denied.test\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}`,
    expected: { kind: 'refused', code: 'policy_denied' },
  },
  {
    title: 'the body of a refused Expect is never a request',
    sent: 'POST http://denied.test/ HTTP/1.1\r\nHost: denied.test\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n{smuggled}',
    expected: { kind: 'refused', code: 'policy_denied' },
  },
  {
    title: 'what was sent for a refused tunnel is never a request',
    sent: 'CONNECT denied.test:443 HTTP/1.1\r\nHost: denied.test:443\r\n\r\n{smuggled}',
    expected: { kind: 'refused', code: 'policy_denied' },
  },
  { title: 'HTTP/0.9', sent: 'GET @/\r\n\r\n{smuggled}', expected: { kind: 'refused', code: 'not_supported' } },
  { title: 'a method that llhttp knows of a streaming protocol', sent: 'SOURCE @/ HTTP/1.1\r\nH\r\n\r\n', expected: { kind: 'refused', code: 'not_supported' } },
  { title: 'a length of 2^53 less one is a length, not waited for by a refusal', sent: 'POST http://denied.test/ HTTP/1.1\r\nHost: denied.test\r\nContent-Length: 9007199254740991\r\n\r\n{smuggled}', expected: { kind: 'refused', code: 'policy_denied' } },
];

export const requestShapes: readonly RequestShape[] = [
  ...badRequests.map(([title, sent]): RequestShape => ({ title, sent, expected: { kind: 'refused', code: 'bad_request' } })),
  ...badChunks.map(([title, body]): RequestShape => ({
    title: `chunks with ${title}`,
    sent: post('Transfer-Encoding: chunked\r\n', `5\r\nhello\r\n${body}`),
    expected: { kind: 'cut', head: 'POST / HTTP/1.1\r\nHost: ^\r\nTransfer-Encoding: chunked\r\n\r\n' },
  })),
  ...others,
];
