/** The agent's way to the control plane, in a worker whose control plane is a fake that says what reached it. */
import test from 'ava';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { ask, head, RawClient, runSocket, startProxyWorker, type Place, type ProxyWorker } from '../../helpers/proxy-worker.ts';
import type { FakeRun } from '../../helpers/fake-control-plane.ts';
import { until, within } from '../../helpers/wait.ts';

interface Seen { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: string }

const lifetime = fileLifetime();
let proxy: ProxyWorker;
let seen: Seen[] = [];
let respond: (request: IncomingMessage, response: ServerResponse) => void;

const json = (_request: IncomingMessage, response: ServerResponse): void => {
  response.setHeader('content-type', 'application/json');
  response.end('{"ok":true}');
};

test.before(async () => {
  proxy = await startProxyWorker(lifetime);
  proxy.control.chat = (request, body, response) => {
    seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: body.toString() });
    respond(request, response);
  };
});

test.beforeEach(() => {
  seen = [];
  respond = json;
});

async function newRun(options: Parameters<ProxyWorker['control']['createRun']>[0] = {}): Promise<FakeRun> {
  const run = proxy.control.createRun(options);
  await proxy.control.acknowledgedAll();
  return run;
}

const at = (): Place => ({ port: proxy.port });
const internal = (path: string): string => `http://sallyport.internal${path}`;

test.serial('the control plane is asked as the run that asks, whatever the request says, and nothing is recorded or spent', async (t) => {
  const run = await newRun();
  const { run_id } = run.snapshot;
  const answer = await ask(at(), internal('/chat/why?url=x'), {
    authorization: run.authorization, method: 'POST', body: '{"a":1}',
    fields: ['Authorization: Bearer sp_op_forged', 'Sallyport-Run: run_other;epoch=9', 'X-Forwarded-For: 127.0.0.1', 'Cookie: a=b', 'Content-Type: application/json', 'Idempotency-Key: k1'],
  });
  t.like(answer, { status: 200, body: '{"ok":true}' });
  t.is(seen.length, 1);
  const [{ headers, ...rest } = {} as Seen] = seen;
  t.deepEqual(rest, { method: 'POST', url: '/chat/why?url=x', body: '{"a":1}' });
  t.is(headers.authorization, `Bearer ${proxy.control.token}`);
  t.is(headers['sallyport-run'], `${run_id};epoch=1`);
  t.deepEqual(Object.keys(headers).sort(), ['authorization', 'connection', 'content-length', 'content-type', 'host', 'idempotency-key', 'sallyport-run']);
  t.is(proxy.control.draws.length, 0);
  t.deepEqual(proxy.control.of(run), []);
});

test.serial('a jailed run is known by its socket, and a plain CONNECT leads to the same place', async (t) => {
  const run = await newRun({ channel: 'jail' });
  const client = new RawClient(runSocket(proxy, run.snapshot.short_id));
  client.send('CONNECT sallyport.internal:80 HTTP/1.1\r\nHost: sallyport.internal:80\r\n\r\n');
  await client.until('the tunnel', (text) => text.includes('\r\n\r\n'));
  t.regex(client.text, /^HTTP\/1\.1 200 /);
  client.send('GET /chat/run HTTP/1.1\r\nHost: sallyport.internal\r\nSallyport-Run: run_x;epoch=1\r\n\r\n');
  await client.until('its answer', (text) => text.includes('{"ok":true}'));
  client.send('GET /chat/run/2 HTTP/1.1\r\nHost: sallyport.internal\r\n\r\n');
  await client.until('a second one', (text) => text.split('{"ok":true}').length === 3);
  client.socket.destroy();
  t.deepEqual(seen.map(({ url, headers }) => [url, headers['sallyport-run']]), [['/chat/run', `${run.snapshot.run_id};epoch=1`], ['/chat/run/2', `${run.snapshot.run_id};epoch=1`]]);
});

test.serial('nothing else of the control plane can be asked for, however it is spelled', async (t) => {
  const run = await newRun();
  const { authorization } = run;
  const table: readonly [target: string, status: number, method?: string, fields?: readonly string[]][] = [
    ['/data-plane/stream', 404], ['/data-plane/allowances', 404, 'POST'], ['/admin/proxies', 404], ['/metrics', 404], ['/', 404], ['/chat', 404],
    ['/chat/../data-plane/stream', 400], ['/chat/%2e%2e/data-plane/stream', 400], ['//data-plane/stream', 400], ['/%63hat/run', 400], ['/chat/..%2Fdata-plane', 400], ['/chat%2F..%2Fadmin', 400],
    ['/chat/a%2Fb', 404], ['/chat/run;a', 404], ['/chat/..;/data-plane/stream', 400], ['/chat\\..\\admin', 400],
    ['/chat/run', 501, 'TRACE'], ['/chat/run', 501, 'OPTIONS'], ['/chat/run', 501, 'GET', ['Connection: upgrade', 'Upgrade: websocket']],
  ];
  for (const [target, status, method, fields] of table) {
    t.is((await ask(at(), internal(target), { authorization, ...(method !== undefined && { method }), ...(fields !== undefined && { fields }) })).status, status, `${method} ${target}`);
  }
  t.is((await ask(at(), internal('/chat/run'), { authorization, host: 'other.test' })).code, 'core.self_address');
  for (const target of ['http://sallyport.internal:3129/chat/run', 'http://x.sallyport.internal/chat/run']) t.is((await ask(at(), target, { authorization })).code, 'core.self_address', target);
  t.is((await ask(at(), 'sallyport.internal:443', { authorization, method: 'CONNECT' })).code, 'core.self_address');
  t.deepEqual(seen, []);
});

test.serial('it answers a run whose requests are used up and one that is paused, and none that is over', async (t) => {
  const broke = await newRun({ limits: { requests: 0 } });
  t.is((await ask(at(), internal('/chat/why'), { authorization: broke.authorization })).status, 200);
  const paused = proxy.control.update(await newRun(), { state: 'PausedApproval' });
  await proxy.control.acknowledgedAll();
  t.is((await ask(at(), 'http://site.test/', { authorization: paused.authorization })).code, 'run_paused');
  t.is((await ask(at(), internal('/chat/why'), { authorization: paused.authorization })).status, 200);
  const over = proxy.control.update(await newRun(), { state: 'Done' });
  await proxy.control.acknowledgedAll();
  t.is((await ask(at(), internal('/chat/why'), { authorization: over.authorization })).code, 'run_ended');
  t.is((await ask(at(), internal('/chat/why'))).status, 407);
  t.is(seen.length, 2);
});

test.serial('a body is bounded before it is read and while it is read, and passed on with a length', async (t) => {
  const { authorization } = await newRun();
  t.like(await ask(at(), internal('/chat/run'), { authorization, method: 'POST', fields: ['Content-Length: 300000', 'Expect: 100-continue'] }), { status: 413, code: 'body_too_large' });
  const client = new RawClient(at());
  client.send(head(internal('/chat/run'), { authorization, method: 'DELETE', fields: ['Transfer-Encoding: chunked'] }));
  for (let sent = 0; sent < 20; sent++) client.send(`4000\r\n${'x'.repeat(0x4000)}\r\n`);
  t.like(await client.answer(), { status: 413 });
  client.socket.destroy();
  t.deepEqual(seen, []);
  const smuggled = 'GET /data-plane/stream HTTP/1.1\r\nhost: x\r\n\r\n';
  const second = new RawClient(at());
  second.send(`${head(internal('/chat/run'), { authorization, method: 'DELETE', fields: ['Transfer-Encoding: chunked'] })}${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`);
  t.is((await second.answer()).status, 200);
  second.socket.destroy();
  t.deepEqual(seen.map(({ method, url, body }) => [method, url, body]), [['DELETE', '/chat/run', smuggled]]);
  const third = new RawClient(at());
  third.send(head(internal('/chat/run'), { authorization, method: 'POST', fields: ['Content-Length: 2', 'Expect: 100-continue'] }));
  await third.until('100', (text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
  third.send('{}');
  await third.until('the answer', (text) => text.includes('{"ok":true}'));
  third.socket.destroy();
});

test.serial('a stream comes piece by piece, waits for a slow reader, and ends at the control plane when its client goes', async (t) => {
  const { authorization } = await newRun();
  let stream: ServerResponse | undefined;
  respond = (_request, response) => {
    stream = response;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  };
  const client = new RawClient(at());
  client.send(head(internal('/chat/run/x/stream'), { authorization }));
  await client.until('the first piece', (text) => text.includes('data: 1\n\n'));
  stream!.write('data: 2\n\n');
  await client.until('the second piece', (text) => text.includes('data: 2\n\n'));
  client.socket.pause();
  let written = 0;
  await until('back-pressure', () => {
    if (stream!.writableLength > 1024 * 1024) return true;
    written += 65_536;
    stream!.write('x'.repeat(65_536));
    return false;
  });
  t.true(written < 200 * 1024 * 1024);
  client.socket.destroy();
  await within<unknown>('the stream to be closed at the control plane', stream!.destroyed ? Promise.resolve() : once(stream!, 'close'));
  t.pass();
});

test.serial('an answer that breaks off is cut for the client, a HEAD has its length and no body, and 204 neither', async (t) => {
  const { authorization } = await newRun();
  respond = (_request, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half', () => { response.destroy(); });
  };
  const client = new RawClient(at());
  client.send(head(internal('/chat/run'), { authorization }));
  t.regex(await client.ended(), /\r\n\r\nhalf$/);
  respond = (_request, response) => { response.setHeader('content-length', 11); response.end(); };
  const second = new RawClient(at());
  second.send(head(internal('/chat/run'), { authorization, method: 'HEAD' }));
  t.regex(await second.until('the head', (text) => text.endsWith('\r\n\r\n')), /content-length: 11/i);
  respond = (_request, response) => { response.writeHead(204); response.end(); };
  second.send(head(internal('/chat/run'), { authorization, method: 'DELETE' }));
  t.regex(await second.until('the second head', (text) => / 204 [^]*\r\n\r\n$/.test(text)), / 204 /);
  respond = json;
  second.send(head(internal('/chat/run'), { authorization }));
  await second.until('the connection to go on', (text) => text.endsWith('{"ok":true}'));
  second.socket.destroy();
});

test.serial('a control plane that cannot be reached is told as such', async (t) => {
  const { authorization } = await newRun();
  respond = (_request, response) => { response.destroy(); };
  t.like(await ask(at(), internal('/chat/run'), { authorization }), { status: 503, code: 'control_plane_unreachable' });
});

test.serial('one run can have sixteen requests under way, and asks at a bounded rate; another is not held up', async (t) => {
  const [busy, other] = [await newRun(), await newRun()];
  const waiting: ServerResponse[] = [];
  respond = (_request, response) => { waiting.push(response); };
  const clients = Array.from({ length: 16 }, () => new RawClient(at()).send(head(internal('/chat/run'), { authorization: busy.authorization })));
  await until('16 requests at the control plane', () => waiting.length === 16);
  t.like(await ask(at(), internal('/chat/run'), { authorization: busy.authorization }), { status: 429, code: 'rate_limited' });
  respond = json;
  t.is((await ask(at(), internal('/chat/run'), { authorization: other.authorization })).status, 200);
  for (const response of waiting) response.end('{}');
  for (const client of clients) {
    t.is((await client.answer()).status, 200);
    client.socket.destroy();
  }
  const statuses: number[] = [];
  for (let asked = 0; asked < 250 && !statuses.includes(429); asked++) statuses.push((await ask(at(), internal('/chat/run'), { authorization: busy.authorization })).status);
  t.true(statuses.includes(429));
  t.is((await ask(at(), internal('/chat/run'), { authorization: other.authorization })).status, 200);
});

test.serial('runs that collude to hold all places with streams leave some for the others', async (t) => {
  const runs = await Promise.all(Array.from({ length: 17 }, () => newRun()));
  const other = await newRun();
  respond = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  };
  const clients: RawClient[] = [];
  const statuses: number[] = [];
  for (const { authorization } of runs) {
    const asked = Array.from({ length: 16 }, () => new RawClient(at()).send(head(internal('/chat/run/x/stream'), { authorization })));
    clients.push(...asked);
    for (const client of asked) statuses.push(Number((await client.until('a status', (text) => text.includes('\r\n\r\n'))).slice(9, 12)));
  }
  t.deepEqual([...new Set(statuses)].sort(), [200, 429]);
  respond = json;
  t.is((await ask(at(), internal('/chat/run'), { authorization: other.authorization })).status, 200);
  for (const client of clients) client.socket.destroy();
});

test.serial('a stream that an earlier start of the run opened tells the present one nothing', async (t) => {
  const run = await newRun();
  let stream: ServerResponse | undefined;
  respond = (_request, response) => {
    stream = response;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: before\n\n');
  };
  const client = new RawClient(at());
  client.send(head(internal('/chat/run/x/stream'), { authorization: run.authorization }));
  await client.until('the first piece', (text) => text.includes('data: before\n\n'));
  proxy.control.update(run, { epoch: 2, token_sha256: '0'.repeat(64) });
  await proxy.control.acknowledgedAll();
  stream!.write('data: after\n\n');
  t.false((await client.ended()).includes('after'));
});

test.serial('a worker that stops does not wait for streams, which would go on for as long as their run', async (t) => {
  const { authorization } = await newRun();
  respond = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  };
  const client = new RawClient(at());
  client.send(head(internal('/chat/run/x/stream'), { authorization }));
  await client.until('the first piece', (text) => text.includes('data: 1\n\n'));
  await within('the worker to have stopped', proxy.worker.stop(120_000), 60_000);
  t.false((await client.ended()).endsWith('0\r\n\r\n'), 'a cut stream looks whole');
});
