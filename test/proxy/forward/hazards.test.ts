/**
 * Hazards in which thirteen forward proxies were seen to differ, one row each: what ours does is what was wanted. Through a real worker,
 * judged by what a raw origin received and what a raw client got.
 */
import test, { type ExecutionContext } from 'ava';
import { fileLifetime } from '../../helpers/lifetime.ts';
import type { RawClient } from '../../helpers/proxy-worker.ts';
import { until } from '../../helpers/wait.ts';
import { startWireWorker, type WireWorker } from '../../helpers/wire-worker.ts';
import { startWireProxy, type Peer } from '../wire-world.ts';

const lifetime = fileLifetime();
let world: WireWorker;
test.before(async () => { world = await startWireWorker(lifetime); });

const okAnswer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
/** Milliseconds that a mishap on one side may take to reach the other, of which the proxy may use 200; the rest is for a busy machine. */
const soon = 5_000;

class Scene {
  readonly t: ExecutionContext;
  readonly authority: string;
  readonly client: RawClient;
  readonly #before: number;

  constructor(t: ExecutionContext) {
    this.t = t;
    this.authority = world.fresh();
    this.client = world.connect(t);
    this.#before = world.seen();
  }

  /** `@`, `^` and `H` as in the corpora. */
  expand(text: string): string {
    return text.replaceAll('@', `http://${this.authority}`).replaceAll('^', this.authority).replaceAll(/^H(?=\r)/gm, `Host: ${this.authority}`);
  }

  send(text: string): void { this.client.send(this.expand(text)); }
  peer(index: number = 0): Promise<Peer> { return world.peer(this.#before + index); }
  get connections(): number { return world.seen() - this.#before; }

  /** The origin hears `bytes` and nothing else. */
  async hears(bytes: string, index: number = 0): Promise<Peer> {
    const peer = await this.peer(index);
    const wanted = this.expand(bytes);
    await until(`${JSON.stringify(wanted)} at the origin, which has ${JSON.stringify(peer.text)}`, () => peer.bytes.length >= wanted.length);
    this.t.is(peer.text, wanted);
    return peer;
  }

  /** Requests `target` and answers it, so that a connection is pooled. */
  async warm(): Promise<Peer> {
    this.send('GET @/warm HTTP/1.1\r\nH\r\n\r\n');
    const peer = await this.hears('GET /warm HTTP/1.1\r\nHost: ^\r\n\r\n');
    peer.send(okAnswer);
    this.t.is((await this.client.answer()).status, 200);
    peer.forget();
    return peer;
  }
}

type Run = (scene: Scene) => Promise<void>;

/** The request reaches the origin as these bytes. */
const forwards = (sent: string, received: string): Run => async (scene) => {
  scene.send(sent);
  const peer = await scene.hears(received);
  peer.send(okAnswer);
  scene.t.is((await scene.client.answer()).body, 'ok');
};

/** The request is refused, and the origin hears nothing. */
const refuses = (sent: string, status: number, code: string): Run => async (scene) => {
  scene.send(sent);
  const answer = await scene.client.answer();
  scene.t.deepEqual([answer.status, answer.code, scene.connections], [status, code, 0]);
};

/** The client gets an answer as these bytes. */
const answers = (answer: string, got: string, request: string = 'GET @/ HTTP/1.1\r\nH\r\n\r\n'): Run => async (scene) => {
  scene.send(request);
  const peer = await scene.peer();
  await peer.hears('\r\n\r\n');
  peer.send(answer);
  await scene.client.until('the answer', (text) => text.length >= got.length);
  scene.t.is(scene.client.text, got);
};

const badGateway = (answer: string): Run => async (scene) => {
  scene.send('GET @/ HTTP/1.1\r\nH\r\n\r\n');
  const peer = await scene.peer();
  await peer.hears('\r\n\r\n');
  peer.send(answer);
  const { status, code } = await scene.client.answer();
  scene.t.deepEqual([status, code], [502, 'upstream_protocol']);
  await peer.ends();
};

const post = (fields: string, body: string): string => `POST @/ HTTP/1.1\r\nH\r\n${fields}\r\n${body}`;
const bad = (sent: string): Run => refuses(sent, 400, 'bad_request');

/** Hazard, what is wanted, and how it is seen. */
const hazards: readonly (readonly [string, string, Run])[] = [
  ['leaks Proxy-Authorization', 'it and every other Proxy-* is stripped', forwards(
    'GET @/ HTTP/1.1\r\nH\r\nProxy-Authorization: Basic eDp5\r\nProxy-Connection: keep-alive\r\nPROXY-X: 1\r\nAccept: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: ^\r\nAccept: a\r\n\r\n',
  )],
  ['Connection-listed header forwarded', 'it is stripped, as are TE and Keep-Alive', forwards(
    'GET @/ HTTP/1.1\r\nH\r\nConnection: X-Hop, TE\r\nx-hop: 1\r\nTE: gzip\r\nKeep-Alive: timeout=5\r\nX-End: 1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: ^\r\nX-End: 1\r\n\r\n',
  )],
  ['duplicate request headers, case', 'order, case and duplicates are kept', forwards(
    'GET @/ HTTP/1.1\r\nX-Dup: 1\r\nH\r\nX-dup: 2\r\nUser-Agent: a\r\nuSER-aGENT: b\r\n\r\n',
    'GET / HTTP/1.1\r\nX-Dup: 1\r\nHost: ^\r\nX-dup: 2\r\nUser-Agent: a\r\nuSER-aGENT: b\r\n\r\n',
  )],
  ['Host that differs from the target', 'refused', refuses('GET @/ HTTP/1.1\r\nHost: evil.test\r\n\r\n', 403, 'core.host_mismatch')],
  ['duplicate Host', '400', bad('GET @/ HTTP/1.1\r\nH\r\nHost: evil.test\r\n\r\n')],
  ['CL and TE', '400', bad(post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'))],
  ['differing CL', '400', bad(post('Content-Length: 4\r\nContent-Length: 5\r\n', 'abcde'))],
  ['TE: xchunked', '400', bad(post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'))],
  ['TE: gzip, chunked', '400', bad(post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'))],
  ['bare LF line endings', '400 at once', bad('GET @/ HTTP/1.1\nHost: ^\n\n')],
  ['obs-fold', '400', bad('GET @/ HTTP/1.1\r\nH\r\nX: a\r\n b\r\n\r\n')],
  ['space before the colon', '400', bad('GET @/ HTTP/1.1\r\nH\r\nX : a\r\n\r\n')],
  ['NUL or control in a value', '400', async (scene) => {
    await bad('GET @/ HTTP/1.1\r\nH\r\nX: a\0b\r\n\r\n')(scene);
    await bad('GET @/ HTTP/1.1\r\nH\r\nX: a\x01b\r\n\r\n')(new Scene(scene.t));
    await bad('GET @/ HTTP/1.1\r\nH\r\nX: a\x7fb\r\n\r\n')(new Scene(scene.t));
  }],
  ['lone CR in a value', '400', bad('GET @/ HTTP/1.1\r\nH\r\nX: a\rb\r\n\r\n')],
  ['userinfo in the authority', 'refused', async (scene) => {
    scene.client.send(`GET http://evil.test@${scene.authority}/ HTTP/1.1\r\nHost: ${scene.authority}\r\n\r\n`);
    const answer = await scene.client.answer();
    scene.t.deepEqual([answer.status, answer.code, scene.connections], [400, 'ambiguous_target', 0]);
  }],
  ['backslash in the authority', '400', bad('GET http://evil.test\\.^/ HTTP/1.1\r\nH\r\n\r\n')],
  ['dot segments and encoding in the path', 'refused where two readers would differ, else to the byte as it came', async (scene) => {
    await refuses('GET @/a/../b/%2e%2e/c//d HTTP/1.1\r\nH\r\n\r\n', 400, 'path_not_canonical')(scene);
    await forwards('GET @/a%20b;c/D?x=%20%7C&y=//.. HTTP/1.1\r\nH\r\n\r\n', 'GET /a%20b;c/D?x=%20%7C&y=//.. HTTP/1.1\r\nHost: ^\r\n\r\n')(new Scene(scene.t));
  }],
  ['several Set-Cookie, header case and reason of an answer', 'kept', answers(
    'HTTP/1.1 200 Fine Thanks\r\nSet-Cookie: a=1\r\nX-CaSe: 1\r\nSet-Cookie: b=2\r\nX-Dup: 1\r\nX-Dup: 2\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 Fine Thanks\r\nSet-Cookie: a=1\r\nX-CaSe: 1\r\nSet-Cookie: b=2\r\nX-Dup: 1\r\nX-Dup: 2\r\nContent-Length: 0\r\n\r\n',
  )],
  ['hop-by-hop fields of an answer', 'stripped', answers(
    'HTTP/1.1 200 OK\r\nConnection: X-R\r\nX-R: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  )],
  ['CL and TE in an answer', '502', badGateway('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')],
  ['103 Early Hints', 'passed on', answers(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${okAnswer}`, `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${okAnswer}`)],
  ['Expect: 100-continue, who answers', 'the origin, after the verdict; and the body waits for it', async (scene) => {
    const head = 'POST / HTTP/1.1\r\nHost: ^\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n';
    scene.send(post('Content-Length: 2\r\nExpect: 100-continue\r\n', ''));
    const peer = await scene.hears(head);
    scene.t.is(scene.client.text, '', 'no 100 before the origin has said so');
    peer.send('HTTP/1.1 100 Continue\r\n\r\n');
    await scene.client.until('the 100', (text) => text === 'HTTP/1.1 100 Continue\r\n\r\n');
    scene.send('hi');
    await scene.hears(`${head}hi`);
    peer.send(okAnswer);
    await scene.client.until('the answer', (text) => text === `HTTP/1.1 100 Continue\r\n\r\n${okAnswer}`);
    // A refused one never gets a 100.
    const refused = new Scene(scene.t);
    refused.client.send('POST http://denied.test/ HTTP/1.1\r\nHost: denied.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
    scene.t.regex(await refused.client.ended(), /^HTTP\/1\.1 403 /);
  }],
  ['Expect: 100-continue, and the origin refuses', 'its answer, no 100, and no body sent', async (scene) => {
    const tooLarge = 'HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n';
    scene.send(post('Content-Length: 2\r\nExpect: 100-continue\r\n', ''));
    const peer = await scene.hears('POST / HTTP/1.1\r\nHost: ^\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
    const heard = peer.text;
    peer.send(`${tooLarge}\r\nno`);
    scene.t.is(await scene.client.ended(), `${tooLarge}Connection: close\r\n\r\nno`);
    await peer.ends();
    scene.t.is(peer.text, heard);
  }],
  ['request trailers', 'passed on', forwards(
    post('Trailer: X-T\r\nTransfer-Encoding: chunked\r\n', '2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n'),
    'POST / HTTP/1.1\r\nHost: ^\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n',
  )],
  ['answer trailers', 'passed on where TE allows, dropped elsewhere', async (scene) => {
    const answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n';
    await answers(answer, answer, 'GET @/ HTTP/1.1\r\nH\r\nTE: trailers\r\nConnection: TE\r\n\r\n')(scene);
    await answers(answer, answer.replace('X-T: 1\r\n', ''))(new Scene(scene.t));
  }],
  ['upgrade: 101', 'only where one was asked for and allowed', async (scene) => {
    await badGateway('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')(scene);
    const denied = new Scene(scene.t);
    denied.client.send('GET http://denied.test/ HTTP/1.1\r\nHost: denied.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const { status } = await denied.client.answer();
    scene.t.true(status === 403 || status === 501, String(status));
  }],
  ['the origin dies within its answer', 'the client is closed at once, and can tell', async (scene) => {
    scene.send('GET @/ HTTP/1.1\r\nH\r\n\r\n');
    const peer = await scene.hears('GET / HTTP/1.1\r\nHost: ^\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome');
    await scene.client.until('the part', (text) => text.endsWith('some'));
    peer.socket.resetAndDestroy();
    await until('the end of the client', () => scene.client.closed, soon);
    scene.t.is(scene.client.text, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome');
  }],
  ['the client goes away within the answer', 'the origin is closed at once', async (scene) => {
    scene.send('GET @/ HTTP/1.1\r\nH\r\n\r\n');
    const peer = await scene.hears('GET / HTTP/1.1\r\nHost: ^\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome');
    await scene.client.until('the part', (text) => text.endsWith('some'));
    scene.client.socket.destroy();
    await peer.ends(soon);
    scene.t.pass();
  }],
  ['the client goes away before the answer', 'the origin is closed at once', async (scene) => {
    scene.send('GET @/ HTTP/1.1\r\nH\r\n\r\n');
    const peer = await scene.hears('GET / HTTP/1.1\r\nHost: ^\r\n\r\n');
    scene.client.socket.destroy();
    await peer.ends(soon);
    scene.t.pass();
  }],
  ['GET on a stale pooled connection', 'tried once more', async (scene) => {
    const stale = await scene.warm();
    stale.socket.once('data', () => stale.socket.resetAndDestroy());
    scene.send('GET @/again HTTP/1.1\r\nH\r\n\r\n');
    (await scene.hears('GET /again HTTP/1.1\r\nHost: ^\r\n\r\n', 1)).send(okAnswer);
    scene.t.is((await scene.client.answer()).body, 'ok');
    scene.t.is(scene.connections, 2);
  }],
  ['POST on a stale pooled connection', '502, never sent twice', async (scene) => {
    const stale = await scene.warm();
    stale.socket.once('data', () => stale.socket.resetAndDestroy());
    scene.send(post('Content-Length: 2\r\n', 'hi'));
    const { status, code } = await scene.client.answer();
    scene.t.deepEqual([status, code, scene.connections], [502, 'upstream_reset', 1]);
  }],
  ['pipelined requests', 'answered in order, the second not sent before the first has its answer', async (scene) => {
    scene.send('GET @/1 HTTP/1.1\r\nH\r\n\r\nGET @/2 HTTP/1.1\r\nH\r\n\r\n');
    const peer = await scene.hears('GET /1 HTTP/1.1\r\nHost: ^\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
    await scene.hears('GET /1 HTTP/1.1\r\nHost: ^\r\n\r\nGET /2 HTTP/1.1\r\nHost: ^\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo');
    scene.t.deepEqual([(await scene.client.answer()).body, (await scene.client.answer()).body], ['one', 'two']);
  }],
  ['an unsolicited answer on an idle connection', 'closes it and reaches nobody', async (scene) => {
    const peer = await scene.warm();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned');
    await peer.ends();
    scene.send('GET @/ HTTP/1.1\r\nH\r\n\r\n');
    (await scene.hears('GET / HTTP/1.1\r\nHost: ^\r\n\r\n', 1)).send(okAnswer);
    scene.t.is((await scene.client.answer()).body, 'ok');
  }],
  ['chunks for a client of HTTP/1.0', 'it gets none, and the end of the connection', async (scene) => {
    scene.send('GET @/ HTTP/1.0\r\nH\r\n\r\n');
    const peer = await scene.hears('GET / HTTP/1.1\r\nHost: ^\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
    scene.t.is(await scene.client.ended(), 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok');
  }],
  ['HEAD with a length', 'the length is kept, and no body waited for', answers('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'HEAD @/ HTTP/1.1\r\nH\r\n\r\n')],
  ['DELETE with a body', 'its framing is kept', forwards('DELETE @/ HTTP/1.1\r\nH\r\nContent-Length: 2\r\n\r\nhi', 'DELETE / HTTP/1.1\r\nHost: ^\r\nContent-Length: 2\r\n\r\nhi')],
  ['GET without a body', 'nothing is added', forwards('GET @/ HTTP/1.1\r\nH\r\n\r\n', 'GET / HTTP/1.1\r\nHost: ^\r\n\r\n')],
  ['DELETE with chunks', 'its framing is kept', forwards(
    'DELETE @/ HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    'DELETE / HTTP/1.1\r\nHost: ^\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
  )],
  ['Connection: content-length', '400', bad(post('Content-Length: 5\r\nConnection: content-length\r\n', 'hello'))],
  ['Connection: host, authorization', '400', async (scene) => {
    await bad('GET @/ HTTP/1.1\r\nH\r\nConnection: host\r\n\r\n')(scene);
    await bad('GET @/ HTTP/1.1\r\nH\r\nAuthorization: x\r\nConnection: authorization\r\n\r\n')(new Scene(scene.t));
  }],
  ['GET with a body', 'its framing is kept', forwards('GET @/ HTTP/1.1\r\nH\r\nContent-Length: 5\r\n\r\nhello', 'GET / HTTP/1.1\r\nHost: ^\r\nContent-Length: 5\r\n\r\nhello')],
  ['two CL in an answer', '502', badGateway('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 20\r\n\r\nok')],
  ['a head that drips in', '408 once its time is over, however often a byte comes', async ({ t }) => {
    const proxy = await startWireProxy(t, { accept: { head_ms: 500 } });
    const slow = await proxy.connect();
    slow.send('GET http://a.test/ HTTP/1.1\r\nHost:');
    const drip = setInterval(() => slow.send(' '), 50);
    t.teardown(() => clearInterval(drip));
    t.regex(await slow.ends(), /^HTTP\/1\.1 408 [^]*"code": "request_timeout"/);
  }],
];

test('there is a row for each of the 43 hazards', (t) => {
  t.is(new Set(hazards.map(([hazard]) => hazard)).size, 43);
});

// One after the other: whatever reaches the origin meanwhile is the row's.
for (const [hazard, wanted, run] of hazards) test.serial(`${hazard}: ${wanted}`, (t) => run(new Scene(t)));
