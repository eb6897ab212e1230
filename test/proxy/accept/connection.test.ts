import test from 'ava';
import { connect } from 'node:net';
import type { Exchange } from '../../../proxy/exchange.ts';
import { catalogueRefusal } from '../../../proxy/refusal.ts';
import { until, within } from '../../helpers/wait.ts';
import { heldBytes, startWireProxy } from '../wire-world.ts';

const denied = (exchange: Exchange): Promise<void> => {
  exchange.refuse({ ...catalogueRefusal('policy_denied', 'No rule allows a.test.', { egress_id: 'egr_1' }), reasons: [{ rule: 'run.default', message: 'nothing allows it' }] });
  return Promise.resolve();
};
const get = (path: string, fields: string = ''): string => `GET http://a.test${path} HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n`;
const heads = (text: string): string[] => text.match(/HTTP\/1\.1 \d{3}/g) ?? [];

/** Splits the one answer in `text`. */
function answer(text: string): { readonly head: string; readonly body: string } {
  const end = text.indexOf('\r\n\r\n');
  return { head: text.slice(0, end + 2), body: text.slice(end + 4) };
}

test('a refusal is a problem document and leaves the connection usable', async (t) => {
  const proxy = await startWireProxy(t, { handler: denied });
  const client = await proxy.connect();
  client.send(get('/1'));
  await client.hears('}\n');
  const { head, body } = answer(client.text);
  t.regex(head, /^HTTP\/1\.1 403 Forbidden \(policy_denied\)\r\nContent-Type: application\/problem\+json\r\n/);
  t.is(Number(/Content-Length: (\d+)/.exec(head)![1]), Buffer.byteLength(body));
  t.notRegex(head, /Connection|Retry-After|Proxy-Authenticate/);
  t.deepEqual(JSON.parse(body), {
    type: 'https://sallyport.example/problems/policy_denied', title: 'Denied by policy', status: 403, code: 'policy_denied', detail: 'No rule allows a.test.',
    message: 'Denied by policy (policy_denied): No rule allows a.test.', instance: 'egr_1', egress_id: 'egr_1', reasons: [{ rule: 'run.default', message: 'nothing allows it' }],
    next_steps: ['Ask an operator to allow this host, port, method and path; another route will be refused as well.'],
  });
  client.send(get('/2'));
  await until('the second refusal', () => heads(client.text).length === 2);
});

for (const [accept, json] of [['*/*\r\nUser-Agent: git/2.39.5', false], ['text/html', false], ['text/html, application/json;q=0.5', true], ['*/*', true], ['application/json;q=0, text/plain', false], ['application/*', true]] as const) {
  test(`with Accept: ${accept.replace('\r\n', ' and ')} a refusal is ${json ? 'JSON' : 'plain text'}`, async (t) => {
    const proxy = await startWireProxy(t, { handler: denied });
    const client = await proxy.connect();
    client.send(get('/', `Accept: ${accept}\r\n`));
    await client.hears('\n');
    await client.hears('egr_1');
    t.is(client.text.includes('application/problem+json'), json);
    if (!json) t.true(answer(client.text).body.startsWith('Denied by policy (policy_denied)\nNo rule allows a.test.\n- nothing allows it (run.default)\n'));
  });
}

test('a refused HEAD has the length of its document and no document', async (t) => {
  const proxy = await startWireProxy(t, { handler: denied });
  const client = await proxy.connect();
  client.send(`HEAD http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n${get('/')}`);
  await until('both answers', () => heads(client.text).length === 2);
  t.regex(client.text, /^HTTP\/1\.1 403 [^]*?Content-Length: [1-9]\d+\r\nCache-Control: no-store\r\n\r\nHTTP\/1\.1 403/);
});

test('407 asks for credentials and keeps the connection, also for CONNECT', async (t) => {
  const proxy = await startWireProxy(t, { handler: (exchange) => Promise.resolve(exchange.refuse(catalogueRefusal('proxy_authentication_required', 'No credentials.'))) });
  const client = await proxy.connect();
  client.send('CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n');
  await client.hears('}\n');
  t.regex(client.text, /^HTTP\/1\.1 407 [^]*\r\nProxy-Authenticate: Basic realm="sallyport"\r\n/);
  t.notRegex(client.text, /Connection: close/);
  client.send('CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n');
  await until('the second 407', () => heads(client.text).length === 2);
  const early = await proxy.connect();
  early.send('CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n\x16\x03\x01');
  t.regex(await early.ends(), /^HTTP\/1\.1 407 [^]*\r\nConnection: close\r\n/);
  t.is(heads(early.text).length, 1, 'what was sent for the tunnel is no request');
});

test('Retry-After is told', async (t) => {
  const proxy = await startWireProxy(t, { handler: (exchange) => Promise.resolve(exchange.refuse(catalogueRefusal('rate_limited', 'Too many.', { retry_after: 1.2 }))) });
  const client = await proxy.connect();
  client.send(get('/'));
  await client.hears('}\n');
  t.regex(client.text, /^HTTP\/1\.1 429 [^]*\r\nRetry-After: 2\r\n/);
});

test('pipelined requests are handled one after the other and answered in order', async (t) => {
  const open: Exchange[] = [];
  const proxy = await startWireProxy(t, { handler: (exchange) => { open.push(exchange); return new Promise((resolve) => { setImmediate(() => { exchange.refuse(catalogueRefusal('policy_denied', exchange.head.target)); resolve(); }); }); } });
  const client = await proxy.connect();
  const paths = Array.from({ length: 50 }, (_, index) => `/${index}`);
  client.send(paths.map((path) => get(path)).join(''));
  await until('all answers', () => heads(client.text).length === 50);
  t.deepEqual([...client.text.matchAll(/"detail": "http:\/\/a\.test(\/\d+)"/g)].map((match) => match[1]), paths);
  t.is(open.length, 50);
});

for (const later of [false, true]) test(`one that pipelines has a bounded number of its requests looked at before others have their turn, answered ${later ? 'a moment later' : 'at once'}`, async (t) => {
  let [seen, inTurn, most] = [0, 0, 0];
  const proxy = await startWireProxy(t, {
    accept: { steps_a_turn: 8 },
    handler: async (exchange) => {
      seen++;
      if (later) await undefined;
      if (inTurn++ === 0) setImmediate(() => { most = Math.max(most, inTurn); inTurn = 0; });
      exchange.refuse(catalogueRefusal('policy_denied', 'no'));
    },
  });
  const client = await proxy.connect();
  client.send(get('/').repeat(500));
  await until('all answers', () => heads(client.text).length === 500);
  t.is(seen, 500);
  t.true(most <= 16, `${most} in one turn`);
});

test('ten thousand pipelined refusals neither overflow the stack nor are lost', async (t) => {
  const proxy = await startWireProxy(t, { handler: (exchange) => { exchange.refuse(catalogueRefusal('policy_denied', 'no')); return Promise.resolve(); } });
  const client = await proxy.connect();
  client.send(get('/', 'Accept: text/plain\r\n').repeat(10_000));
  await until('all answers', () => heads(client.text).length === 10_000);
  t.pass();
});

test.serial('while one request is answered, no more of what follows is read than the bound', async (t) => {
  let release: (() => void) | undefined;
  const proxy = await startWireProxy(t, { handler: (exchange) => new Promise((resolve) => { release = () => { exchange.refuse(catalogueRefusal('policy_denied', 'no')); resolve(); }; }) });
  const client = await proxy.connect();
  client.send(get('/'));
  await until('the request', () => release);
  const before = heldBytes();
  client.send(Buffer.alloc(32 * 1024 * 1024, get('/')));
  let last = -1;
  await until('the client to be held up', async () => { const same = last === client.socket.bytesWritten - client.socket.writableLength; last = client.socket.bytesWritten - client.socket.writableLength; await new Promise((resolve) => { setTimeout(resolve, 100); }); return same; });
  // What the client can't get rid of waits on its side.
  t.true(client.socket.writableLength > 16 * 1024 * 1024);
  // The 32 MB are the client's own.
  t.true(heldBytes() - before < 34 * 1024 * 1024);
  release!();
  await client.hears('403');
});

const forms: readonly (readonly [string, string, number, string, RegExp])[] = [
  ['origin form', 'GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n', 400, 'bad_request', /proxy, not a web server/],
  ['asterisk form', 'OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n', 400, 'bad_request', /proxy, not a web server/],
  ['https in absolute form', 'GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', 501, 'not_supported', /CONNECT HOST:443/],
  ['ftp', 'GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', 501, 'not_supported', /scheme ftp/],
  ['CONNECT without a port', 'CONNECT a.test HTTP/1.1\r\nHost: a.test\r\n\r\n', 400, 'bad_request', /./],
  ['CONNECT with a path', 'CONNECT a.test:80/x HTTP/1.1\r\nHost: a.test\r\n\r\n', 400, 'bad_request', /./],
  ['CONNECT with user', 'CONNECT u@a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n', 400, 'bad_request', /./],
  ['CONNECT to an absolute form', 'CONNECT http://a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n', 400, 'bad_request', /./],
];
for (const [title, text, status, code, detail] of forms) {
  test(`${title} is refused with advice, before anyone is asked`, async (t) => {
    const proxy = await startWireProxy(t, { handler: denied });
    const client = await proxy.connect();
    client.send(text);
    await client.hears('}\n');
    const problem = JSON.parse(answer(client.text).body) as { readonly status: number; readonly code: string; readonly detail: string };
    t.like(problem, { status, code });
    t.regex(problem.detail, detail);
    t.is(proxy.exchanges.length, 0);
  });
}

test('a head that can be read two ways is refused, the connection closed, and what follows never looked at', async (t) => {
  const proxy = await startWireProxy(t, { handler: denied });
  const client = await proxy.connect();
  client.send(`POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${get('/smuggled')}`);
  await client.ends();
  t.regex(client.text, /^HTTP\/1\.1 400 [^]*\r\nConnection: close\r\n/);
  t.is(heads(client.text).length, 1);
  t.is(proxy.exchanges.length, 0);
});

test('an exchange that its handler leaves, or throws at, is refused', async (t) => {
  for (const handler of [() => Promise.resolve(), () => Promise.reject(new Error('secret detail')), () => { throw new Error('secret detail'); }]) {
    const proxy = await startWireProxy(t, { handler });
    const client = await proxy.connect();
    client.send(get('/') + get('/'));
    await until('two answers', () => heads(client.text).length === 2);
    t.regex(client.text, /^HTTP\/1\.1 500 [^]*"code": "internal"/);
    t.notRegex(client.text, /secret/);
  }
});

const bodies: readonly (readonly [string, string, string, boolean])[] = [
  ['a small body', 'Content-Length: 5\r\n', 'hello', true],
  ['a body of 64 KiB', 'Content-Length: 65536\r\n', 'x'.repeat(65_536), true],
  ['a larger body', 'Content-Length: 65537\r\n', 'x'.repeat(100), false],
  ['a chunked body', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n', false],
  ['a body that waits for 100', 'Content-Length: 5\r\nExpect: 100-continue\r\n', '', false],
];
for (const [title, fields, body, kept] of bodies) {
  test(`after a refusal of ${title} the connection ${kept ? 'stays usable' : 'closes'}`, async (t) => {
    const proxy = await startWireProxy(t, { handler: denied });
    const client = await proxy.connect();
    client.send(`POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n${body}${kept ? get('/next') : ''}`);
    if (kept) {
      await until('both answers', () => heads(client.text).length === 2);
      t.notRegex(client.text, /Connection: close/);
    } else {
      await client.ends();
      t.regex(client.text, /Connection: close/);
      t.notRegex(client.text, /100 Continue/);
    }
    t.is(proxy.exchanges.length, kept ? 2 : 1);
  });
}

test('HTTP/1.0 and Connection: close end with their answer', async (t) => {
  const proxy = await startWireProxy(t, { handler: denied });
  for (const text of ['GET http://a.test/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', get('/', 'Connection: close\r\n'), get('/', 'Proxy-Connection: Close\r\n')]) {
    const client = await proxy.connect();
    client.send(text);
    await client.ends();
    t.regex(client.text, /Connection: close/);
  }
});

test('a client that goes away before its answer aborts the exchange', async (t) => {
  for (const leave of ['end', 'destroy', 'reset'] as const) {
    let gone: Promise<void> | undefined;
    const proxy = await startWireProxy(t, { handler: (exchange) => { gone = new Promise((resolve) => { exchange.gone.addEventListener('abort', () => resolve()); }); return gone; } });
    const client = await proxy.connect();
    client.send(get('/'));
    await until('the request', () => gone !== undefined);
    if (leave === 'end') client.socket.end();
    else if (leave === 'destroy') client.socket.destroy();
    else client.socket.resetAndDestroy();
    await within(`abort after ${leave}`, gone!);
  }
  t.pass();
});

test('a head that does not arrive in time is refused, silence is closed', async (t) => {
  const proxy = await startWireProxy(t, { handler: denied, accept: { head_ms: 1000, idle_ms: 1000 } });
  const slow = await proxy.connect();
  slow.send('GET http://a.test/ HTTP/1.1\r\nHost:');
  const drip = setInterval(() => slow.send(' '), 50);
  t.teardown(() => clearInterval(drip));
  const silent = await proxy.connect();
  const idle = await proxy.connect();
  idle.send(get('/'));
  await slow.ends();
  clearInterval(drip);
  t.regex(slow.text, /^HTTP\/1\.1 408 [^]*"code": "request_timeout"[^]*did not arrive in time/);
  await silent.ends();
  t.is(silent.text, '');
  await idle.ends();
  t.is(heads(idle.text).length, 1);
});

test('caps are answered with their own codes and told when to come back', async (t) => {
  for (const [limits, code, status] of [[{ connections_per_run: 2 }, 'rate_limited', 429], [{ connections: 2 }, 'overloaded', 503]] as const) {
    const proxy = await startWireProxy(t, { handler: denied, accept: limits, source: { kind: 'run', run_id: 'run_1' } });
    const first = await proxy.connect();
    const second = await proxy.connect();
    for (const client of [first, second]) client.send(get('/'));
    await first.hears('403');
    await second.hears('403');
    const third = await proxy.connect();
    await third.ends();
    t.regex(third.text, new RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\nRetry-After: 1\\r\\n[^]*"code": "${code}"`));
    first.socket.destroy();
    await until('a place', async () => {
      const next = await proxy.connect();
      next.send(get('/'));
      await until('an answer', () => next.text.length > 0);
      return next.text.includes('403');
    });
  }
});

test('a run\'s listener tells the run, a TCP listener the remote', async (t) => {
  for (const [source, expected] of [[{ kind: 'run', run_id: 'run_1' }, { kind: 'run', run_id: 'run_1' }], [{ kind: 'tcp' }, { kind: 'tcp', remote: '127.0.0.1' }]] as const) {
    const proxy = await startWireProxy(t, { handler: denied, source });
    const client = await proxy.connect();
    client.send(get('/'));
    await client.hears('403');
    t.deepEqual(proxy.exchanges[0]!.source, expected);
  }
});

test('stopping ends idle connections after a moment in which their next request is served, others with their answer, and refuses new ones', async (t) => {
  let release: (() => void) | undefined;
  const proxy = await startWireProxy(t, {
    handler: (exchange) => new Promise((resolve) => {
      const answer = (): void => { exchange.refuse(catalogueRefusal('policy_denied', 'no')); resolve(); };
      if (exchange.head.target.endsWith('/late')) answer();
      else release = answer;
    }),
  });
  const idle = await proxy.connect();
  const late = await proxy.connect();
  const busy = await proxy.connect();
  busy.send(get('/') + get('/never'));
  await until('the request', () => release);
  const stopped = proxy.listener.stop(10_000);
  late.send(get('/late'));
  await late.ends();
  t.regex(late.text, /403[^]*Connection: close/);
  await idle.ends();
  t.is(idle.text, '');
  late.socket.end();
  idle.socket.end();
  t.false(busy.ended);
  await t.throwsAsync(proxy.connect());
  release!();
  await busy.ends();
  t.is(heads(busy.text).length, 1);
  t.regex(busy.text, /Connection: close/);
  busy.socket.end();
  await within('the stop', stopped);
});

test('what is left after the deadline of a stop is destroyed', async (t) => {
  const proxy = await startWireProxy(t, { handler: () => new Promise(() => { /* Never. */ }) });
  const client = await proxy.connect();
  client.send(get('/'));
  await until('the request', () => proxy.exchanges.length === 1);
  await within('the stop', proxy.listener.stop(50));
  await client.ends();
  t.is(client.text, '');
});

test('an h2c offer is dropped, a WebSocket offer is told', async (t) => {
  const proxy = await startWireProxy(t, { handler: denied });
  const client = await proxy.connect();
  client.send(get('/', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n') + get('/', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'));
  await until('both answers', () => heads(client.text).length === 2);
  t.deepEqual(proxy.exchanges.map((exchange) => exchange.head.upgrade), [undefined, 'websocket']);
});

test('who pipelines and does not read is not read either, and loses nothing', async (t) => {
  const all = 20_000;
  let handled = 0;
  const proxy = await startWireProxy(t, { handler: (exchange) => { handled++; return denied(exchange); } });
  const socket = connect(proxy.port, '127.0.0.1');
  t.teardown(() => { socket.destroy(); });
  let answers = 0;
  let closed = false;
  socket.on('close', () => { closed = true; });
  socket.pause();
  socket.write(get('/').repeat(all));
  // What the kernel takes for both of us, and then nobody goes on.
  let before = -1;
  await until('the proxy to wait', async () => {
    const now = handled;
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    const same = handled === before && now === before && handled > 0;
    before = handled;
    return same;
  });
  t.true(handled < all, `${handled} were answered to nobody`);
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text = text.slice(-20) + piece;
    answers += heads(text).length;
    text = text.replaceAll('HTTP/1.1 403', '');
  });
  socket.resume();
  await until('all answers', () => answers === all || closed);
  t.is(answers, all);
});
