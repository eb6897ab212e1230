/**
 * Answers that some reader takes for two, for a longer or shorter one, or for the answer to another request. `answer` goes out on the
 * first connection in one piece; `{poison}` stands for a whole answer with the body `poisoned`.
 */
export interface ResponseShape {
  readonly title: string;
  readonly answer: string;
  readonly method?: string;
  /** Sent a moment later, when the client has its answer. */
  readonly late?: string;
  /** The origin closes (`end`), or resets, behind its answer. */
  readonly ends?: 'end' | 'reset';
  readonly expected:
    /** The client gets `upstream_protocol` and not a byte of it but interim answers before. The next request has another connection. */
    | { readonly kind: 'bad_gateway' }
    /** The client gets exactly this. `reused`: the next request goes out on the same connection. */
    | { readonly kind: 'passes'; readonly bytes: string; readonly reused: boolean }
    /** The client gets this and the end of its connection, and can tell that the answer is not whole. */
    | { readonly kind: 'cut'; readonly bytes: string };
}

const ok = 'HTTP/1.1 200 OK\r\n';

const bad: readonly (readonly [string, string])[] = [
  ['CL.TE', `${ok}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{poison}`],
  ['TE.CL', `${ok}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{poison}`],
  ['two lengths', `${ok}Content-Length: 0\r\nContent-Length: 8\r\n\r\n{poison}`],
  ['two lengths, the same', `${ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi{poison}`],
  ['a list of lengths', `${ok}Content-Length: 0, 8\r\n\r\n{poison}`],
  ['a length with a plus', `${ok}Content-Length: +0\r\n\r\n{poison}`],
  ['a negative length', `${ok}Content-Length: -1\r\n\r\n{poison}`],
  ['an empty length', `${ok}Content-Length:\r\n\r\n{poison}`],
  ['an octal length', `${ok}Content-Length: 010\r\n\r\n{poison}`],
  ['a hexadecimal length', `${ok}Content-Length: 0x8\r\n\r\n{poison}`],
  ['a length of 2^64', `${ok}Content-Length: 18446744073709551616\r\n\r\n{poison}`],
  ['a length with a space before the colon', `${ok}Content-Length : 8\r\n\r\n{poison}`],
  ['Content_Length', `${ok}Content_Length: 8\r\n\r\n{poison}`],
  ['Connection: content-length', `${ok}Content-Length: 8\r\nConnection: content-length\r\n\r\n{poison}`],
  ['Connection: set-cookie', `${ok}Set-Cookie: a=b\r\nContent-Length: 0\r\nConnection: set-cookie\r\n\r\n{poison}`],
  ['gzip, chunked', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{poison}`],
  ['chunked twice', `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{poison}`],
  ['xchunked', `${ok}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{poison}`],
  ['identity', `${ok}Transfer-Encoding: identity\r\n\r\n{poison}`],
  ['chunked with a NUL', `${ok}Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n{poison}`],
  ['chunked behind a vertical tab', `${ok}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n{poison}`],
  ['chunked in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{poison}'],
  ['a folded field', `${ok}X: a\r\n b\r\nContent-Length: 0\r\n\r\n{poison}`],
  ['a folded length', `${ok}Content-Length:\r\n 0\r\n\r\n{poison}`],
  ['a lone LF', `${ok}X: a\nContent-Length: 0\r\n\r\n{poison}`],
  ['bare LF throughout', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n{poison}'],
  ['a lone CR', `${ok}X: a\rContent-Length: 0\r\n\r\n{poison}`],
  ['a lone CR at the end of the head', `${ok}Content-Length: 0\r\n\r{poison}`],
  ['a NUL in a value', `${ok}X: \0\r\nContent-Length: 0\r\n\r\n{poison}`],
  ['a field without a name', `${ok}: x\r\nContent-Length: 0\r\n\r\n{poison}`],
  ['a field without a colon', `${ok}Content-Length\r\n\r\n{poison}`],
  ['an empty line before it', `\r\n${ok}Content-Length: 0\r\n\r\n{poison}`],
  ['a NUL in the reason', 'HTTP/1.1 200 OK\0\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['a lone CR in the reason', 'HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['a lone LF in the reason', 'HTTP/1.1 200 O\nContent-Length: 8\r\n\r\n{poison}'],
  ['status 000', 'HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['status 99', 'HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['status 1000', 'HTTP/1.1 1000 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['status 600', 'HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['status +200', 'HTTP/1.1 +200 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['two spaces before the status', 'HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['HTTP/0.9', '<html>hello</html>'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['ICY', 'ICY 200 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['a version in lower case', 'http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{poison}'],
  ['a request for an answer', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['101 unasked', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n{poison}'],
  ['33 interim answers', `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(33)}${ok}Content-Length: 0\r\n\r\n{poison}`],
  ['an interim answer with a length', `HTTP/1.1 103 Early Hints\r\nContent-Length: 8\r\n\r\n{poison}`],
  ['an interim answer with chunks', `HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{poison}`],
  ['a head of more than 64 KiB', `${ok}X: ${'y'.repeat(65_600)}\r\n\r\n{poison}`],
  ['101 fields', `${ok}${'X: y\r\n'.repeat(101)}\r\n{poison}`],
];

const cutChunks: readonly (readonly [string, string])[] = [
  ['a bare LF behind the size (CVE-2025-22871)', '3\nabc\r\n0\r\n\r\n{poison}'],
  ['a bare LF in an extension', '3;a\nabc\r\n0\r\n\r\n{poison}'],
  ['bytes behind the chunk (SPILL)', '0x3\r\nabc\r\n0\r\n\r\n{poison}'],
  ['a size of 2^64', '10000000000000000\r\n{poison}'],
  ['a size with a space', '3 \r\nabc\r\n0\r\n\r\n{poison}'],
  ['a trailer that frames', '0\r\nContent-Length: 3\r\n\r\n{poison}'],
  ['a trailer that sets a cookie', '0\r\nSet-Cookie: a=b\r\n\r\n{poison}'],
  ['a folded trailer', '0\r\nX: a\r\n b\r\n\r\n{poison}'],
  ['a bare LF at the end', '0\r\n\n{poison}'],
];

const chunked = (body: string): string => `${ok}Transfer-Encoding: chunked\r\n\r\n${body}`;
const whole = `${ok}Content-Length: 2\r\n\r\nok`;

const others: readonly ResponseShape[] = [
  { title: 'bytes behind a length are nobody\'s', answer: `${whole}{poison}`, expected: { kind: 'passes', bytes: whole, reused: false } },
  { title: 'bytes that come later than the answer are nobody\'s', answer: whole, late: '{poison}', expected: { kind: 'passes', bytes: whole, reused: false } },
  { title: 'bytes behind chunks are nobody\'s', answer: `${chunked('2\r\nok\r\n0\r\n\r\n')}{poison}`, expected: { kind: 'passes', bytes: chunked('2\r\nok\r\n0\r\n\r\n'), reused: false } },
  { title: 'a HEAD with a body', method: 'HEAD', answer: `${ok}Content-Length: 8\r\n\r\npoisoned`, expected: { kind: 'passes', bytes: `${ok}Content-Length: 8\r\n\r\n`, reused: false } },
  { title: 'a HEAD with a length and no body', method: 'HEAD', answer: `${ok}Content-Length: 8\r\n\r\n`, expected: { kind: 'passes', bytes: `${ok}Content-Length: 8\r\n\r\n`, reused: true } },
  { title: 'a HEAD that says chunked', method: 'HEAD', answer: `${ok}Transfer-Encoding: chunked\r\n\r\n`, expected: { kind: 'passes', bytes: `${ok}\r\n`, reused: true } },
  { title: 'a 204 with a length', answer: 'HTTP/1.1 204 No Content\r\nContent-Length: 8\r\n\r\npoisoned', expected: { kind: 'passes', bytes: 'HTTP/1.1 204 No Content\r\n\r\n', reused: false } },
  { title: 'a 204 with a length and no body yet', answer: 'HTTP/1.1 204 No Content\r\nContent-Length: 8\r\n\r\n', expected: { kind: 'passes', bytes: 'HTTP/1.1 204 No Content\r\n\r\n', reused: false } },
  { title: 'a 204 with a length and the body late', answer: 'HTTP/1.1 204 No Content\r\nContent-Length: 8\r\n\r\n', late: 'poisoned', expected: { kind: 'passes', bytes: 'HTTP/1.1 204 No Content\r\n\r\n', reused: false } },
  { title: 'a 204 with chunks', answer: 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', expected: { kind: 'passes', bytes: 'HTTP/1.1 204 No Content\r\n\r\n', reused: false } },
  { title: 'a 304 with the length of what it is not', answer: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n', expected: { kind: 'passes', bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n', reused: true } },
  { title: 'a 304 with a body', answer: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\npoisoned', expected: { kind: 'passes', bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n', reused: false } },
  { title: 'HTTP/1.0 that would be kept alive', answer: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok{poison}', expected: { kind: 'passes', bytes: whole, reused: false } },
  { title: 'no framing at all ends with the connection', answer: `${ok}\r\nok`, ends: 'end', expected: { kind: 'passes', bytes: chunked('2\r\nok\r\n0\r\n\r\n'), reused: false } },
  { title: 'an answer inside an answer without framing is its body', answer: `${ok}\r\n{poison}`, ends: 'end', expected: { kind: 'passes', bytes: chunked('2e\r\n{poison}\r\n0\r\n\r\n'), reused: false } },
  { title: 'a reason that is empty', answer: 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok', expected: { kind: 'passes', bytes: 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok', reused: true } },
  { title: 'a reason that is missing', answer: 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', expected: { kind: 'passes', bytes: 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok', reused: true } },
  { title: 'a reason with obs-text', answer: 'HTTP/1.1 200 \xd6K\r\nContent-Length: 2\r\n\r\nok', expected: { kind: 'passes', bytes: 'HTTP/1.1 200 \xd6K\r\nContent-Length: 2\r\n\r\nok', reused: true } },
  { title: 'hop-by-hop fields, Proxy-* and what is nominated', answer: `${ok}Connection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 2\r\n\r\nok`, expected: { kind: 'passes', bytes: `${ok}Set-Cookie: a\r\nset-cookie: b\r\nContent-Length: 2\r\n\r\nok`, reused: true } },
  { title: 'Connection: Transfer-Encoding, as large caches send it', answer: `${ok}Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n2\r\nok\r\n0\r\n\r\n`, expected: { kind: 'passes', bytes: chunked('2\r\nok\r\n0\r\n\r\n'), reused: true } },
  { title: 'chunks with extensions and zeros come plain', answer: chunked('0002;a="b"\r\nok\r\n000\r\nX-Late: 1\r\n\r\n'), expected: { kind: 'passes', bytes: chunked('2\r\nok\r\n0\r\n\r\n'), reused: true } },
  { title: '32 interim answers', answer: `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(32)}${whole}`, expected: { kind: 'passes', bytes: `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(32)}${whole}`, reused: true } },
  { title: 'a 100 that nobody waits for', answer: `HTTP/1.1 100 Continue\r\n\r\n${whole}`, expected: { kind: 'passes', bytes: whole, reused: true } },
  { title: 'a length that is longer than the body', answer: `${ok}Content-Length: 5\r\n\r\nok`, ends: 'end', expected: { kind: 'cut', bytes: `${ok}Content-Length: 5\r\n\r\nok` } },
  { title: 'chunks that end early', answer: chunked('2\r\nok\r\n'), ends: 'end', expected: { kind: 'cut', bytes: chunked('2\r\nok\r\n') } },
  { title: 'chunks that end within the last line', answer: chunked('2\r\nok\r\n0\r\n'), ends: 'end', expected: { kind: 'cut', bytes: chunked('2\r\nok\r\n') } },
  { title: 'no framing, and a reset', answer: `${ok}\r\nok`, ends: 'reset', expected: { kind: 'cut', bytes: chunked('2\r\nok\r\n') } },
];

export const responseShapes: readonly ResponseShape[] = [
  ...bad.map(([title, answer]): ResponseShape => ({ title, answer, expected: { kind: 'bad_gateway' } })),
  ...cutChunks.map(([title, body]): ResponseShape => ({ title: `chunks with ${title}`, answer: chunked(`2\r\nok\r\n${body}`), expected: { kind: 'cut', bytes: chunked('2\r\nok\r\n') } })),
  ...others,
];
