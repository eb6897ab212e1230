import test from 'ava';
import { until } from '../../helpers/wait.ts';
import { onHeads, startOrigin, startWireProxy } from '../wire-world.ts';

/**
 * Requests that some reader takes for two, or for another one. The verdict is what a raw origin received: nothing at all, or exactly
 * `received`. `@` stands for the origin's authority in the target, `H` for a good Host line.
 */
interface Shape {
  readonly title: string;
  readonly sent: string;
  /** Undefined: refused with 400 (or 501), the connection closed, the origin never reached. */
  readonly received?: string;
}

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
const refusedShapes: readonly (readonly [string, string])[] = [
  ['CL.TE', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE.CL', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n${smuggled}\r\n0\r\n\r\n`],
  ['TE.CL with CL 0', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE.TE with xchunked', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE.TE twice', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE.TE list', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['gzip, chunked', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['chunked, gzip', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE with a vertical tab', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE with a space before the colon', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE with a tab before the colon', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE folded', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE behind a lone LF', `POST @/ HTTP/1.1\r\nH\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE behind a lone CR', `POST @/ HTTP/1.1\r\nH\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE behind a NUL', `POST @/ HTTP/1.1\r\nH\r\nX: a\0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['Transfer_Encoding', `POST @/ HTTP/1.1\r\nH\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE in HTTP/1.0', `POST @/ HTTP/1.0\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['two lengths', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n${smuggled}`],
  ['two lengths, the same', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi`],
  ['a list of lengths', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 0, 44\r\n\r\n${smuggled}`],
  ['a length with a plus', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: +0\r\n\r\n${smuggled}`],
  ['a negative length', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: -1\r\n\r\n${smuggled}`],
  ['a length with a space in it', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 0 44\r\n\r\n${smuggled}`],
  ['a length with an underscore in its name', `POST @/ HTTP/1.1\r\nH\r\nContent_Length: 44\r\n\r\n${smuggled}`],
  ['a length with a space before the colon', `POST @/ HTTP/1.1\r\nH\r\nContent-Length : 44\r\n\r\n${smuggled}`],
  ['a length with a lone CR behind it', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 44\r\r\n\r\n${smuggled}`],
  ['a hexadecimal length', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 0x2c\r\n\r\n${smuggled}`],
  ['a length above all numbers', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 18446744073709551616\r\n\r\n${smuggled}`],
  ['Connection: content-length', `POST @/ HTTP/1.1\r\nH\r\nContent-Length: 44\r\nConnection: content-length\r\n\r\n${smuggled}`],
  ['Connection: transfer-encoding', `POST @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n\r\n0\r\n\r\n`],
  ['Connection: host', 'GET @/ HTTP/1.1\r\nH\r\nConnection: close, host\r\n\r\n'],
  ['Connection: authorization', 'GET @/ HTTP/1.1\r\nH\r\nAuthorization: x\r\nConnection: authorization\r\n\r\n'],
  ['two Hosts', 'GET @/ HTTP/1.1\r\nH\r\nHost: evil.test\r\n\r\n'],
  ['two Hosts, one with space before the colon', 'GET @/ HTTP/1.1\r\nH\r\nHost : evil.test\r\n\r\n'],
  ['no Host', 'GET @/ HTTP/1.1\r\nX: y\r\n\r\n'],
  ['Host folded', 'GET @/ HTTP/1.1\r\nHost:\r\n a.test\r\n\r\n'],
  ['a field before the first one folded', 'GET @/ HTTP/1.1\r\n X: y\r\nH\r\n\r\n'],
  ['bare LF throughout', 'GET @/ HTTP/1.1\nH\n\n'],
  ['bare LF at the end of the head', `GET @/ HTTP/1.1\r\nH\r\n\n${smuggled}`],
  ['a bare CR at the end of the head', `GET @/ HTTP/1.1\r\nH\r\n\r${smuggled}`],
  ['a second request line in the target', 'GET @/ HTTP/1.1 GET /smuggled HTTP/1.1\r\nH\r\n\r\n'],
  ['a control character in the target', 'GET @/\x01 HTTP/1.1\r\nH\r\n\r\n'],
  ['a tab in the target', 'GET @/\tx HTTP/1.1\r\nH\r\n\r\n'],
  ['a fragment', 'GET @/x#y HTTP/1.1\r\nH\r\n\r\n'],
  ['HTTP/0.9', 'GET @/\r\n\r\n'],
  ['HTTP/1.2', 'GET @/ HTTP/1.2\r\nH\r\n\r\n'],
  ['HTTP/1.10', 'GET @/ HTTP/1.10\r\nH\r\n\r\n'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a method in lower case', 'get @/ HTTP/1.1\r\nH\r\n\r\n'],
  ['a method with a separator', 'GE(T @/ HTTP/1.1\r\nH\r\n\r\n'],
  ['a TRACE with a body', `TRACE @/ HTTP/1.1\r\nH\r\nContent-Length: 44\r\n\r\n${smuggled}`],
];

const cleanShapes: readonly Shape[] = [
  {
    title: 'a GET with a body of a length keeps it framed',
    sent: `GET @/ HTTP/1.1\r\nH\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    received: `GET / HTTP/1.1\r\nHost: ^\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  },
  {
    title: 'a DELETE with a chunked body keeps it framed',
    sent: `DELETE @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    received: `DELETE / HTTP/1.1\r\nHost: ^\r\nTransfer-Encoding: chunked\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
  },
  {
    title: 'chunk extensions, leading zeros and case are not passed on',
    sent: 'POST @/ HTTP/1.1\r\nH\r\ntransfer-encoding: Chunked\r\n\r\n0003;x="\\r\\n0"\r\nabc\r\n0;y\r\n\r\n',
    received: 'POST / HTTP/1.1\r\nHost: ^\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  },
  {
    title: 'another Host than the target does not reach the origin',
    sent: 'GET @/ HTTP/1.1\r\nHost: evil.test\r\n\r\n',
    received: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n',
  },
  {
    title: 'empty lines before a request are not passed on',
    sent: '\r\n\r\nGET @/ HTTP/1.1\r\nH\r\n\r\n',
    received: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n',
  },
  {
    title: 'an Expect without a body and an h2c offer are not passed on',
    sent: 'GET @/ HTTP/1.1\r\nH\r\nExpect: 100-continue\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
    received: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n',
  },
  {
    title: 'white space around values is not passed on',
    sent: 'GET @/ HTTP/1.1\r\nH\r\nX:\t  a b \t\r\n\r\n',
    received: 'GET / HTTP/1.1\r\nHost: ^\r\nX: a b\r\n\r\n',
  },
  {
    title: 'credentials and hints for this proxy are not passed on',
    sent: 'GET @/ HTTP/1.1\r\nH\r\nProxy-Authorization: Basic eDp5\r\nproxy-connection: keep-alive\r\nKeep-Alive: 5\r\nTE: gzip\r\nConnection: TE, X-Secret\r\nX-Secret: 1\r\n\r\n',
    received: 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n',
  },
];

const shapes: readonly Shape[] = [...refusedShapes.map(([title, sent]) => ({ title, sent })), ...cleanShapes];
for (const { title, sent, received } of shapes) {
  test(`${received === undefined ? 'refused: ' : ''}${title}`, async (t) => {
    const origin = await startOrigin(t, (peer) => onHeads(peer, () => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')));
    const proxy = await startWireProxy(t);
    const client = await proxy.connect();
    const text = sent.replaceAll('@', `http://a.test:${origin.port}`).replaceAll(/^H(?=[\r\n])/gm, 'Host: a.test');
    client.send(received === undefined ? text + smuggled : text);
    if (received === undefined) {
      await client.ends();
      t.regex(client.text, /^HTTP\/1\.1 (400|501) [^]*\r\nConnection: close\r\n/);
      t.is(client.text.match(/^HTTP\/1\.1 \d/gm)?.length, 1, 'one answer');
      t.is(origin.peers.length, 0);
      t.is(proxy.exchanges.length, 0);
    } else {
      await client.hears('\r\n\r\nok');
      const expected = received.replace('^', `origin.test:${origin.port}`);
      await until('the request', () => origin.peers[0]!.bytes.length >= expected.length);
      t.is(origin.peers[0]!.text, expected);
    }
  });
}

const broken = ['zz\r\nabc\r\n', '3\r\nabcd\r\n', '3\nabc\n', '-1\r\n', '0x1\r\na\r\n', '3 \r\nabc\r\n', 'ffffffffffffffffff\r\n', '0\r\nContent-Length: 3\r\n\r\n', '0\r\nHost: evil.test\r\n\r\n', '0\r\nX: a\n\r\n'];
for (const body of broken) {
  test(`refused: a chunked body that goes on with ${JSON.stringify(body)}; what follows it is no request`, async (t) => {
    const origin = await startOrigin(t);
    const proxy = await startWireProxy(t);
    const client = await proxy.connect();
    client.send(`POST http://a.test:${origin.port}/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    await (await origin.peer(0)).hears('hello\r\n');
    client.send(body + smuggled);
    await client.ends();
    t.regex(client.text, /^HTTP\/1\.1 400 [^]*"code": "bad_request"/);
    await origin.peers[0]!.ends();
    // Chunks before the broken one were good.
    t.regex(origin.peers[0]!.text, /\r\n\r\n5\r\nhello\r\n(3\r\nabc\r\n)?$/);
    t.like(await proxy.outcome(0), { kind: 'failed', code: 'bad_request' });
    t.is(proxy.exchanges.length, 1);
  });
}

/** Answers that some reader takes for two: the client gets a 502 and nothing of them, and the next request has a fresh connection. */
const answers = [
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 8\r\n\r\npoisoned',
  'HTTP/1.1 200 OK\r\nContent-Length: 8, 8\r\n\r\npoisoned',
  'HTTP/1.1 200 OK\r\nContent-Length: +8\r\n\r\npoisoned',
  'HTTP/1.1 200 OK\r\nContent-Length : 8\r\n\r\npoisoned',
  'HTTP/1.1 200 OK\r\nContent_Length: 8\r\n\r\npoisoned',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n8\r\npoisoned\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n8\r\npoisoned\r\n0\r\n\r\n',
  'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\npoisoned\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 8\r\n\r\npoisoned',
  'HTTP/1.1 200 OK\r\nX: a\nContent-Length: 8\r\n\r\npoisoned',
  'HTTP/1.1 200 OK\r\nX: a\rContent-Length: 8\r\n\r\npoisoned',
  'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: content-length\r\n\r\npoisoned',
  '\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned',
  'HTTP/1.1 200 OK\0\r\nContent-Length: 8\r\n\r\npoisoned',
];
for (const answer of answers) {
  test(`502: an answer that begins ${JSON.stringify(answer.slice(0, 80))}`, async (t) => {
    const origin = await startOrigin(t, (peer, index) => onHeads(peer, () => peer.send(index === 0 ? answer : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh')));
    const proxy = await startWireProxy(t);
    const client = await proxy.connect();
    const request = `GET http://a.test:${origin.port}/ HTTP/1.1\r\nHost: a.test\r\n\r\n`;
    client.send(request + request);
    await client.hears('fresh');
    t.regex(client.text, /^HTTP\/1\.1 502 Bad Gateway\r\n[^]*"code": "upstream_protocol"[^]*HTTP\/1\.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh$/);
    t.false(client.text.includes('poisoned'));
    t.is(origin.peers.length, 2);
  });
}
