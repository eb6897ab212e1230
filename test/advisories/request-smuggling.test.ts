/**
 * Two parsers that disagree where a request ends: what one took for a body, the next took for another request, one that nobody had
 * judged (CL.TE, TE.CL, obs-fold, repeated lengths, framing removed by being nominated in `Connection`).
 *
 * Here a head is read strictly, or refused and the connection closed; and what is sent is written anew, with one framing. The verdict
 * is taken from all bytes that a raw origin received: no request line but those that were judged.
 */
import test from 'ava';
import { allowedRun, fileScene } from '../helpers/scene.ts';
import { RawClient, startLocalServer } from '../helpers/proxy-worker.ts';

const scene = fileScene();
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: site.test\r\n\r\n';
const hex = smuggled.length.toString(16);

/** What follows the request line, `Host` and the credentials. */
const refused: readonly (readonly [string, string])[] = [
  ['CL.TE', `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['TE.CL', `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${hex}\r\n${smuggled}\r\n0\r\n\r\n`],
  ['TE.TE', `Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n${smuggled}`],
  ['an encoding besides chunked', `Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['an encoding that only looks like chunked', `Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['a space before the colon', `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['obs-fold', `X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['a folded length', `Content-Length:\r\n 0\r\n\r\n${smuggled}`],
  ['two lengths', `Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`],
  ['two lengths in one', `Content-Length: 0, ${smuggled.length}\r\n\r\n${smuggled}`],
  ['a length with a sign', `Content-Length: +0\r\n\r\n${smuggled}`],
  ['a length in hexadecimal', `Content-Length: 0x0\r\n\r\n${smuggled}`],
  ['a bare LF', `X: y\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`],
  ['a lone CR', `X: y\rContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`],
  ['a NUL', `X: y\0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`],
  ['the length nominated', `Content-Length: ${smuggled.length}\r\nConnection: content-length\r\n\r\n${smuggled}`],
  ['the encoding nominated', `Transfer-Encoding: chunked\r\nConnection: close, transfer-encoding\r\n\r\n${hex}\r\n${smuggled}\r\n0\r\n\r\n`],
  ['Host nominated', 'Connection: host\r\n\r\n'],
  ['credentials nominated', 'Authorization: Bearer x\r\nConnection: authorization\r\n\r\n'],
  ['a chunk whose size is signed', `Transfer-Encoding: chunked\r\n\r\n-1\r\n${smuggled}`],
  ['a chunk whose size is above all numbers', `Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n${smuggled}`],
  ['a chunk longer than its size', `Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n${smuggled}`],
  ['a chunk that ends in a bare LF', `Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n${smuggled}`],
  ['a trailer that frames', `Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 0\r\n\r\n${smuggled}`],
];

for (const [title, rest] of refused) {
  test.serial(`refused, and the origin gets no second request: ${title}`, async (t) => {
    const received: Buffer[] = [];
    const origin = await startLocalServer(t, (socket) => {
      // Never answers, so that what follows cannot hide behind a connection that is closed early.
      socket.on('data', (bytes: Buffer) => received.push(bytes));
    });
    const { proxy } = scene();
    const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [origin.port], methods: ['POST'] }] });
    const client = new RawClient(proxy);
    const text = await client.send(`POST http://site.test:${origin.port}/first HTTP/1.1\r\nHost: site.test:${origin.port}\r\nProxy-Authorization: ${run.authorization}\r\n${rest}`).ended();
    t.true(/^HTTP\/1\.1 (400|501) /.test(text) || text === '', text);
    t.is(text.match(/HTTP\/1\.1 \d\d\d /g)?.length ?? 0, 1, 'what was smuggled got an answer');
    const sent = Buffer.concat(received).toString('latin1');
    t.false(/^GET \/smuggled/m.test(sent.replace(/^POST[^]*?\r\n\r\n/, '')), sent);
    t.false(sent.includes('/smuggled'), sent);
  });
}

test('a body that looks like a request stays a body', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [site.port], methods: ['GET', 'POST', 'DELETE'] }] });
  const bodies = [`Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`, `Transfer-Encoding: chunked\r\n\r\n${hex}\r\n${smuggled}\r\n0\r\n\r\n`];
  for (const method of ['GET', 'POST', 'DELETE']) {
    for (const [index, body] of bodies.entries()) {
      const client = new RawClient(proxy);
      const path = `/${method}-${index}`;
      const answer = client.send(`${method} http://site.test:${site.port}${path} HTTP/1.1\r\nHost: site.test:${site.port}\r\nProxy-Authorization: ${run.authorization}\r\n${body}`).until('an answer', (text) => text.includes('hello'));
      t.true((await answer).startsWith('HTTP/1.1 200'));
      client.socket.destroy();
    }
  }
  t.false(site.requests.some(({ url }) => url === '/smuggled'));
  t.is(site.requests.length, 6);
});

/** Answers after which nobody knows where the next one begins. */
const answers: readonly (readonly [string, string])[] = [
  ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\nok'],
  ['an encoding besides chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
  ['a folded field', 'HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 2\r\n\r\nok'],
  ['a lone CR', 'HTTP/1.1 200 OK\r\nX: y\rContent-Length: 40\r\nContent-Length: 2\r\n\r\nok'],
];
for (const [title, answer] of answers) {
  test(`an answer with ${title} is not passed on`, async (t) => {
    const origin = await startLocalServer(t, (socket) => { socket.once('data', () => socket.write(answer, 'latin1')); });
    const { proxy } = scene();
    const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }] });
    const client = new RawClient(proxy);
    const told = await client.send(`GET http://site.test:${origin.port}/ HTTP/1.1\r\nHost: site.test:${origin.port}\r\nProxy-Authorization: ${run.authorization}\r\n\r\n`).answer();
    client.socket.destroy();
    t.deepEqual([told.status, told.code], [502, 'upstream_protocol']);
  });
}

test('what an origin says unasked is nobody\'s answer', async (t) => {
  const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
  const origin = await startLocalServer(t, (socket) => {
    socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${poison}`));
  });
  const { proxy } = scene();
  const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }] });
  const client = new RawClient(proxy);
  for (let index = 0; index < 3; index++) {
    const answer = await client.send(`GET http://site.test:${origin.port}/${index} HTTP/1.1\r\nHost: site.test:${origin.port}\r\nProxy-Authorization: ${run.authorization}\r\n\r\n`).answer();
    t.is(answer.body, 'ok');
  }
  t.is(origin.sockets.length, 3, 'a connection that said too much was used again');
  client.socket.destroy();
});
