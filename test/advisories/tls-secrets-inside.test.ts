/**
 * Clients that send their credentials for the proxy inside TLS as well (apt and wget did), and agents that do so on purpose: the origin, which is
 * anybody, would hold the run's token, and a proxy that keeps records of requests would keep it there.
 *
 * Here no field that is meant for a proxy passes, in HTTP/1.1, HTTP/2, trailers or the switch to a web socket, and neither token nor
 * authorization is in the record. Inside a tunnel nobody is identified by what he sends: the tunnel's run it is.
 */
import test from 'ava';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { head, RawClient } from '../helpers/proxy-worker.ts';
import { askHttp2, fileTlsScene, insideHttp1, insideHttp2, lookedInto, openTunnel, tryTls, type SeenInTls } from '../helpers/tls-scene.ts';
import { handshakeFields } from '../helpers/web-socket.ts';

const upgrades: Record<string, unknown>[] = [];
const trailers: unknown[] = [];
const scene = fileTlsScene({
  respond: (request, response) => {
    request.resume().on('end', () => {
      trailers.push(request.rawTrailers);
      // What an origin gives back for a proxy is ours to take as well.
      for (const [name, value] of [['proxy-authenticate', 'Basic realm="origin"'], ['proxy-authorization', 'Basic b3JpZ2lu'], ['x-kept', 'yes']] as const) response.setHeader(name, value);
      (response as ServerResponse).end('hello\n');
    });
  },
  upgrade: (request, socket) => {
    upgrades.push(request.headers);
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nProxy-Authorization: Basic b3JpZ2lu\r\n\r\n');
  },
});
const host = (): string => `site.test:${scene().site.port}`;
const forProxies = /^(?:proxy-|sallyport|x-sallyport|forwarded$|via$)/;

const seen = (path: string): SeenInTls[] => scene().site.requests.filter(({ target }) => target === path);

test('credentials for the proxy stay out of the origin and out of the record, whichever way they come', async (t) => {
  const { control } = scene().proxy;
  const run = await lookedInto(scene());
  const stranger = await lookedInto(scene());
  const secrets = [run.token, stranger.token, run.authorization.slice('Basic '.length), stranger.authorization.slice('Basic '.length)];
  const fields = [
    ['Proxy-Authorization', run.authorization], ['Proxy-Connection', 'keep-alive'], ['Proxy-Authenticate', 'Basic'], ['Authorization', `Bearer ${run.token}`], ['X-Mine', run.token], ['Cookie', `t=${run.token}`], ['X-Kept', 'yes'],
  ] as const;
  const http1 = await insideHttp1(t, scene(), run);
  const answer = await http1.send(head('/http1', { host: host(), fields: fields.map(([name, value]) => `${name}: ${value}`) })).answer();
  t.is(answer.status, 200);
  t.notRegex(answer.head, /proxy-auth/i);
  t.regex(answer.head, /x-kept: yes/i);
  // Another run's credentials change nothing: not whose request it is, nor whether it is let through.
  const foreign = await http1.send(head('/foreign', { host: host(), fields: [`Proxy-Authorization: ${stranger.authorization}`] })).answer();
  t.is(foreign.status, 200);
  const wrong = await http1.send(head('/wrong', { host: host(), fields: ['Proxy-Authorization: Basic eDp5'] })).answer();
  t.is(wrong.status, 200);

  const http2 = await insideHttp2(t, scene(), run);
  t.is((await askHttp2(http2, { ':path': '/http2', ...Object.fromEntries(fields.filter(([name]) => name !== 'Proxy-Connection').map(([name, value]) => [name.toLowerCase(), value])) })).status, 200);
  http1.send([
    'POST /trailers HTTP/1.1', `Host: ${host()}`, 'Transfer-Encoding: chunked', 'Trailer: Proxy-Authorization', '', '1', 'x', '0', `Proxy-Authorization: ${run.authorization}`, 'X-Kept: yes', '', '',
  ].join('\r\n'));
  await http1.answer();
  const socket = await insideHttp1(t, scene(), run);
  await socket.send(head('/socket', { host: host(), fields: [...handshakeFields, `Proxy-Authorization: ${run.authorization}`] })).until('the switch', (text) => text.includes('\r\n\r\n'));
  t.regex(socket.text, /^HTTP\/1\.1 101 /);
  t.notRegex(socket.text, /proxy-auth/i);

  for (const path of ['/http1', '/foreign', '/wrong', '/http2', '/trailers']) {
    const requests = seen(path);
    t.true(requests.length === 1 || path === '/trailers', path);
    for (const { headers } of requests) {
      t.deepEqual(Object.keys(headers).filter((name) => forProxies.test(name)), [], path);
      // The agent's own business: what it sends to the origin as the origin's is not ours to judge by name.
      if (path === '/http1' || path === '/http2') t.is(headers['x-kept'], 'yes');
    }
  }
  t.is(upgrades.length, 1);
  t.deepEqual(Object.keys(upgrades[0]!).filter((name) => forProxies.test(name)), []);
  t.false(JSON.stringify(trailers).toLowerCase().includes('proxy-'));

  await control.ingested('all ends', () => control.of(run, 'egress.completed').length >= 5);
  const record = JSON.stringify(control.events);
  for (const secret of secrets) t.false(record.includes(secret), 'in the record');
  t.is(control.of(stranger).length, 0);
});

test('credentials inside a tunnel that is refused are not in the record either', async (t) => {
  const { control } = scene().proxy;
  const run = await lookedInto(scene());
  const client = await insideHttp1(t, scene(), run, { to: `other.test:${scene().site.port}`, servername: 'other.test' });
  await client.send(head('/', { host: 'other.test', fields: [`Proxy-Authorization: ${run.authorization}`, `Authorization: Bearer ${run.token}`] })).answer();
  await control.ingested('the refusal', () => control.of(run, 'egress.denied').length === 1);
  const record = JSON.stringify(control.events);
  t.false(record.includes(run.token));
  t.false(record.includes(run.authorization.slice('Basic '.length)));
});

test('inside a tunnel to the control plane an agent is its run, whatever fields say, and TLS there is not ended', async (t) => {
  const { control } = scene().proxy;
  const [run, stranger] = [await lookedInto(scene()), await lookedInto(scene())];
  const heard: IncomingHttpHeaders[] = [];
  control.chat = (request, _body, response) => {
    heard.push(request.headers);
    response.end('{}');
  };
  const client = new RawClient(await openTunnel(scene(), run, 'sallyport.internal:80'));
  t.teardown(() => client.socket.destroy());
  client.socket.resume();
  const answer = await client.send(head('/chat/run', {
    host: 'sallyport.internal', authorization: stranger.authorization,
    fields: [`Sallyport-Run: ${stranger.snapshot.run_id};epoch=1`, 'Sallyport-Purpose: approval', `Authorization: Bearer ${stranger.token}`],
  })).answer();
  t.is(answer.status, 200);
  const [fields] = heard;
  t.is(fields?.['sallyport-run'], `${run.snapshot.run_id};epoch=1`);
  t.is(fields?.authorization, `Bearer ${control.token}`);
  t.deepEqual(Object.keys(fields ?? {}).filter((name) => name.startsWith('sallyport') || name.startsWith('proxy-')), ['sallyport-run']);
  const { problem } = await tryTls(scene(), await openTunnel(scene(), run, 'sallyport.internal:80'), { servername: 'sallyport.internal' });
  t.truthy(problem);
});
