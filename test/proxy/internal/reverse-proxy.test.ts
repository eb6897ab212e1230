import test, { type ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ReverseProxy, type ReverseRequest } from '../../../proxy/internal/reverse-proxy.ts';
import { needs } from '../../helpers/needs.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { within } from '../../helpers/wait.ts';

const asked: ReverseRequest = {
  method: 'GET', target: '/chat/why?url=http%3A%2F%2Fsite.test%2F&x=%20a', fields: { accept: 'application/json' }, body: Buffer.alloc(0), identity: { authorization: 'Bearer sp_px_x', 'sallyport-run': 'run_1;epoch=1' },
};

async function serve(t: ExecutionContext, listen: string | undefined, answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  if (listen === undefined) server.listen(0, '127.0.0.1');
  else server.listen(listen);
  await once(server, 'listening');
  t.teardown(() => { server.close(); server.closeAllConnections(); });
  return listen === undefined ? (server.address() as AddressInfo).port : 0;
}

async function send(reverse: ReverseProxy, request: ReverseRequest): Promise<{ readonly status: number; readonly body: string }> {
  const response = await within('an answer', new Promise<IncomingMessage>((resolve, reject) => { reverse.send(request).on('response', resolve).on('error', reject); }));
  let body = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) body += chunk;
  return { status: response.statusCode ?? 0, body };
}

const echo: RequestListener = (request, response) => { response.end(JSON.stringify({ url: request.url, method: request.method, headers: request.headers })); };

test('a control plane is reached by its socket or by its URL, with the target as it was asked for and our fields last', async (t) => {
  const path = join(await temporaryFolder(t), 'api.sock');
  await serve(t, path, echo);
  const port = await serve(t, undefined, echo);
  for (const address of [{ socketPath: path }, { url: new URL(`http://127.0.0.1:${port}`) }]) {
    const { status, body } = await send(new ReverseProxy(address), { ...asked, fields: { accept: 'a/b', 'user-agent': 'x' } });
    const { url, headers } = JSON.parse(body) as { url: string; headers: Record<string, string> };
    t.is(status, 200);
    t.is(url, asked.target);
    t.deepEqual([headers['authorization'], headers['sallyport-run'], headers['accept'], headers['user-agent'], headers['connection']], ['Bearer sp_px_x', 'run_1;epoch=1', 'a/b', 'x', 'close']);
  }
});

test('identity wins over a field of the same name, and two requests at once keep their own', async (t) => {
  const port = await serve(t, undefined, (request, response) => { setImmediate(() => response.end(request.headers['sallyport-run'])); });
  const reverse = new ReverseProxy({ url: new URL(`http://127.0.0.1:${port}`) });
  const runs = Array.from({ length: 20 }, (_, index) => `run_${index};epoch=1`);
  const answers = await Promise.all(runs.map((run) => send(reverse, { ...asked, fields: { 'sallyport-run': 'run_forged;epoch=1' }, identity: { 'sallyport-run': run } })));
  t.deepEqual(answers.map(({ body }) => body), runs);
});

test('a body of any method goes on with its length', async (t) => {
  const port = await serve(t, undefined, (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => { body += chunk; }).on('end', () => { response.end(JSON.stringify([request.method, request.headers['content-length'], request.headers['transfer-encoding'] ?? null, body])); });
  });
  const reverse = new ReverseProxy({ url: new URL(`http://127.0.0.1:${port}`) });
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    for (const text of ['', 'GET /x HTTP/1.1\r\n\r\n']) t.deepEqual(JSON.parse((await send(reverse, { ...asked, method, body: Buffer.from(text) })).body), [method, String(text.length), null, text]);
  }
});

test('nobody there, one that hangs up, and one that breaks off in the middle are errors and never a wait', async (t) => {
  const gone = new ReverseProxy({ socketPath: join(await temporaryFolder(t), 'nobody.sock') });
  await t.throwsAsync(send(gone, asked));
  const port = await serve(t, undefined, (request, response) => {
    if (request.url === '/healthz') return void request.socket.destroy();
    response.writeHead(200, { 'content-length': 100 });
    response.write('half', () => { request.socket.destroy(); });
  });
  const reverse = new ReverseProxy({ url: new URL(`http://127.0.0.1:${port}`) });
  await t.throwsAsync(send(reverse, { ...asked, target: '/healthz' }));
  await t.throwsAsync(within('the end of a broken answer', send(reverse, asked)));
});

test('whoever gives up ends the request at the control plane too', async (t) => {
  const ended = Promise.withResolvers<void>();
  const port = await serve(t, undefined, (_request, response) => {
    response.on('close', () => { ended.resolve(); });
    response.write('first');
  });
  const outgoing = new ReverseProxy({ url: new URL(`http://127.0.0.1:${port}`) }).send(asked);
  outgoing.on('error', () => { /* Destroyed by ourselves. */ });
  outgoing.on('response', (response) => { response.once('data', () => { outgoing.destroy(); }); });
  await within('the end at the control plane', ended.promise);
  t.pass();
});

needs('command openssl')('over TLS the certificate is verified: one that nobody vouches for is told nothing, nor one of another name', async (t) => {
  const folder = await temporaryFolder(t);
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
  const [keyText, ca] = [readFileSync(key, 'utf8'), readFileSync(cert, 'utf8')];
  let asks = 0;
  const server = createTlsServer({ key: keyText, cert: ca }, (request, response) => {
    asks++;
    echo(request, response);
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  t.teardown(() => { server.close(); server.closeAllConnections(); });
  const { port, address } = server.address() as AddressInfo;
  await t.throwsAsync(send(new ReverseProxy({ url: new URL(`https://127.0.0.1:${port}`) }), asked));
  await t.throwsAsync(send(new ReverseProxy({ url: new URL(`https://localhost:${port}`), ca }), asked), undefined, 'another name');
  t.is(asks, 0);
  if (address !== '127.0.0.1') return t.log(`localhost is ${address} here`);
  t.is((await send(new ReverseProxy({ url: new URL(`https://127.0.0.1:${port}`), ca }), asked)).status, 200);
});
