/**
 * One tunnel, and many requests on it: proxies that judged the CONNECT and the first request let the second go to any host that the
 * origin's front serves, by another `Host` on the same connection, by another `:authority` on another stream, or by a target that is not a path.
 *
 * Here each request is judged by itself, its host is the tunnel's, and its target a path. What is not is refused, the others go on.
 */
import test from 'ava';
import { head, startLocalServer } from '../helpers/proxy-worker.ts';
import { headers, preface, rawClient, settings, types } from '../helpers/http2-frames.ts';
import { askHttp2, fileTlsScene, insideHttp1, insideHttp2, lookedInto, openTunnel, recordedRefusals, secureTunnel } from '../helpers/tls-scene.ts';
import { event, within } from '../helpers/wait.ts';

const scene = fileTlsScene();
const hosts = ['site.test', 'other.test'];
const at = (name: string): string => `${name}:${scene().site.port}`;
/** What the origin was asked below `path`. */
const seen = (path: string): readonly string[] => scene().site.requests.filter(({ target }) => target.startsWith(path)).map(({ target, authority }) => `${authority?.replace(/:.*/, '')} ${target}`);

test('the second and the third request on a tunnel are judged as the first, one after the other and pipelined', async (t) => {
  const run = await lookedInto(scene(), { hosts });
  for (const pipelined of [false, true]) {
    const path = `/http1-${pipelined}/`;
    const client = await insideHttp1(t, scene(), run);
    const requests = ['site.test', 'other.test', 'site.test', 'other.test'].map((name, index) => head(`${path}${index}`, { host: at(name) }));
    const told: unknown[] = [];
    if (pipelined) client.send(requests.join(''));
    for (const request of requests) {
      if (!pipelined) client.send(request);
      const { status, code } = await client.answer();
      told.push(code ?? status);
    }
    t.deepEqual(told, [200, 'core.host_mismatch', 200, 'core.host_mismatch']);
    t.deepEqual(seen(path), [`site.test ${path}0`, `site.test ${path}2`]);
  }
  t.is((await recordedRefusals(scene(), run, 4)).length, 4);
});

test('each stream of HTTP/2 is judged by its own :authority, whatever the others said', async (t) => {
  const run = await lookedInto(scene(), { hosts });
  const session = await insideHttp2(t, scene(), run);
  const names = Array.from({ length: 20 }, (_, index) => hosts[index % 2]!);
  const answers = await Promise.all(names.map((name, index) => askHttp2(session, { ':authority': at(name), ':path': `/http2/${index}` })));
  t.deepEqual(answers.map(({ status, code }) => code ?? status), names.map((name) => (name === 'site.test' ? 200 : 'core.host_mismatch')));
  t.deepEqual(seen('/http2/').toSorted(), names.flatMap((name, index) => (name === 'site.test' ? [`site.test /http2/${index}`] : [])).toSorted());
  t.is((await recordedRefusals(scene(), run, 10)).length, 10);
});

const http1: readonly (readonly [title: string, request: (host: string, other: string) => string, code: string])[] = [
  ['two Host fields, the right one first', (host, other) => `GET /one-bad HTTP/1.1\r\nHost: ${host}\r\nHost: ${other}\r\n\r\n`, 'bad_request'],
  ['two Host fields, the right one last', (host, other) => `GET /one-bad HTTP/1.1\r\nHost: ${other}\r\nHost: ${host}\r\n\r\n`, 'bad_request'],
  ['the same Host field twice', (host) => `GET /one-bad HTTP/1.1\r\nHost: ${host}\r\nhost: ${host}\r\n\r\n`, 'bad_request'],
  ['a Host field that is folded', (host, other) => `GET /one-bad HTTP/1.1\r\nHost: ${host}\r\n ${other}\r\n\r\n`, 'bad_request'],
  ['no Host field', () => 'GET /one-bad HTTP/1.1\r\n\r\n', 'bad_request'],
  ['a Host field that Connection nominates', (host) => `GET /one-bad HTTP/1.1\r\nHost: ${host}\r\nConnection: host\r\n\r\n`, 'bad_request'],
  ['a white space before the colon', (host, other) => `GET /one-bad HTTP/1.1\r\nHost: ${host}\r\nHost : ${other}\r\n\r\n`, 'bad_request'],
  ['an absolute target of this host', (host) => `GET https://${host}/one-bad HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'not_supported'],
  ['an absolute target of another host', (host, other) => `GET https://${other}/one-bad HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'not_supported'],
  ['an absolute target in clear text', (host, other) => `GET http://${other}/one-bad HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'not_supported'],
  ['an authority for a target', (host, other) => `GET ${other} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'bad_request|not_supported'],
  ['two slashes, which some read as an authority', (host, other) => `GET //${other}/one-bad HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'path_not_canonical'],
  ['a CONNECT inside', (_host, other) => `CONNECT ${other} HTTP/1.1\r\nHost: ${other}\r\n\r\n`, 'not_supported'],
  ['a CONNECT inside to the same place', (host) => `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'not_supported'],
  ['the whole server', (host) => `OPTIONS * HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'not_supported'],
  ['a switch to another TLS', (host) => `GET /one-bad HTTP/1.1\r\nHost: ${host}\r\nConnection: upgrade\r\nUpgrade: TLS/1.0\r\n\r\n`, 'not_supported'],
];
test('what names a host in HTTP/1.1 in another way inside TLS reaches nobody', async (t) => {
  const run = await lookedInto(scene(), { hosts });
  const codes: unknown[] = [];
  for (const [title, request, code] of http1) {
    const client = await insideHttp1(t, scene(), run);
    const answer = await client.send(request(at('site.test'), at('other.test'))).answer();
    t.regex(answer.code ?? '', new RegExp(`^(?:${code})$`), title);
    codes.push(answer.code);
  }
  t.deepEqual(await recordedRefusals(scene(), run, http1.length), codes);
  t.deepEqual(seen('/one-bad'), []);
});

test('a request of HTTP/1.0 without Host goes where the tunnel goes', async (t) => {
  const run = await lookedInto(scene(), { hosts });
  const client = await insideHttp1(t, scene(), run);
  client.send('GET /old HTTP/1.0\r\n\r\n');
  t.regex(await client.ended(), /^HTTP\/1\.[01] 200 /);
  t.deepEqual(seen('/old'), ['site.test /old']);
});

type Fields = readonly (readonly [string, string])[];
/** `code` undefined: nghttp2 takes it for no request, and resets. */
const http2: readonly (readonly [title: string, fields: (host: string, other: string) => Fields, code: string | undefined])[] = [
  ['host beside :authority, another one', (host, other) => [[':method', 'GET'], [':scheme', 'https'], [':authority', host], [':path', '/two-bad'], ['host', other]], 'bad_request'],
  ['host beside :authority, which is another one', (host, other) => [[':method', 'GET'], [':scheme', 'https'], [':authority', other], [':path', '/two-bad'], ['host', host]], 'bad_request'],
  ['host alone, another one', (_host, other) => [[':method', 'GET'], [':scheme', 'https'], [':path', '/two-bad'], ['host', other]], 'core.host_mismatch'],
  ['two host fields', (host, other) => [[':method', 'GET'], [':scheme', 'https'], [':path', '/two-bad'], ['host', host], ['host', other]], undefined],
  ['two authorities', (host, other) => [[':method', 'GET'], [':scheme', 'https'], [':authority', host], [':authority', other], [':path', '/two-bad']], undefined],
  ['no host at all', () => [[':method', 'GET'], [':scheme', 'https'], [':path', '/two-bad']], undefined],
  ['the scheme of clear text', (host) => [[':method', 'GET'], [':scheme', 'http'], [':authority', host], [':path', '/two-bad']], 'bad_request'],
  ['an absolute target', (host, other) => [[':method', 'GET'], [':scheme', 'https'], [':authority', host], [':path', `https://${other}/two-bad`]], undefined],
  ['two slashes, which some read as an authority', (host, other) => [[':method', 'GET'], [':scheme', 'https'], [':authority', host], [':path', `//${other}/two-bad`]], 'path_not_canonical'],
  ['the whole server', (host) => [[':method', 'OPTIONS'], [':scheme', 'https'], [':authority', host], [':path', '*']], 'not_supported'],
  ['a CONNECT', (_host, other) => [[':method', 'CONNECT'], [':authority', other]], 'not_supported'],
  ['a CONNECT to the same place', (host) => [[':method', 'CONNECT'], [':authority', host]], 'not_supported'],
  ['a CONNECT for a web socket, which was not offered', (_host, other) => [[':method', 'CONNECT'], [':protocol', 'websocket'], [':scheme', 'https'], [':authority', other], [':path', '/two-bad']], undefined],
  ['a switch of protocols', (host) => [[':method', 'GET'], [':scheme', 'https'], [':authority', host], [':path', '/two-bad'], ['connection', 'upgrade'], ['upgrade', 'websocket']], undefined],
  ['a line break in the target', (host, other) => [[':method', 'GET'], [':scheme', 'https'], [':authority', host], [':path', `/two-bad HTTP/1.1\r\nhost: ${other}\r\n\r\n`]], undefined],
];
test('what names a host in HTTP/2 in another way inside TLS reaches nobody', async (t) => {
  const run = await lookedInto(scene(), { hosts });
  const codes: unknown[] = [];
  for (const [title, fields, code] of http2) {
    const client = rawClient(await secureTunnel(scene(), run, { ALPNProtocols: ['h2'] }));
    t.teardown(() => client.socket.destroy());
    client.send(preface, settings(), headers(1, fields(at('site.test'), at('other.test'))));
    const answer = await client.next(`an answer: ${title}`, ({ stream, type }) => stream === 1 && (type === types.data || type === types.rst_stream));
    if (code === undefined) {
      t.is(answer.type, types.rst_stream, title);
      continue;
    }
    t.is(answer.type, types.data, title);
    t.is((JSON.parse(answer.payload.toString()) as { readonly code: string }).code, code, title);
    codes.push(code);
  }
  t.deepEqual(await recordedRefusals(scene(), run, codes.length), codes);
  t.deepEqual(seen('/two-bad'), []);
});

test('a line break in a field of HTTP/2 begins no other one: nghttp2 drops the field before anybody judges it', async (t) => {
  const client = rawClient(await secureTunnel(scene(), await lookedInto(scene(), { hosts }), { ALPNProtocols: ['h2'] }));
  t.teardown(() => client.socket.destroy());
  client.send(preface, settings(), headers(1, [[':method', 'GET'], [':scheme', 'https'], [':authority', at('site.test')], [':path', '/dropped'], ['x-break', `a\r\nhost: ${at('other.test')}\r\n\r\nGET /smuggled HTTP/1.1`], ['x-kept', 'yes']]));
  await client.next('an answer', ({ stream, type }) => stream === 1 && type === types.data);
  t.deepEqual([seen('/dropped'), seen('/smuggled')], [['site.test /dropped'], []]);
  const { headers: fields } = scene().site.requests.find(({ target }) => target === '/dropped')!;
  t.deepEqual([fields['x-break'], fields['x-kept'], fields.host], [undefined, 'yes', undefined]);
});

test('each stream of HTTP/2 in clear text inside a tunnel is judged in the same way', async (t) => {
  const origin = await startLocalServer(t, () => { /* It has nothing to say. */ });
  const run = await lookedInto(scene(), { hosts, port: origin.port });
  const tunnel = await openTunnel(scene(), run, `site.test:${origin.port}`);
  const client = rawClient(tunnel);
  t.teardown(() => tunnel.destroy());
  tunnel.resume();
  const fields = (scheme: string, authority: string): Fields => [[':method', 'GET'], [':scheme', scheme], [':authority', `${authority}:${origin.port}`], [':path', '/clear']];
  client.send(preface, settings(), headers(1, fields('http', 'other.test')), headers(3, fields('https', 'site.test')));
  for (const [id, code] of [[1, 'core.host_mismatch'], [3, 'bad_request']] as const) {
    const { payload } = await client.next(`the answer ${id}`, ({ stream, type }) => stream === id && type === types.data);
    t.is((JSON.parse(payload.toString()) as { readonly code: string }).code, code);
  }
  t.is(origin.sockets.length, 0);
});

test('CONNECT for web sockets is not offered to HTTP/2', async (t) => {
  const session = await insideHttp2(t, scene(), await lookedInto(scene()));
  const [given] = await event('the settings', session, 'remoteSettings') as [{ readonly enableConnectProtocol: boolean }];
  t.false(given.enableConnectProtocol);
});

test('what a CONNECT inside would have led through is not taken for requests', async (t) => {
  const run = await lookedInto(scene(), { hosts });
  const client = await insideHttp1(t, scene(), run);
  client.send(head(at('other.test'), { method: 'CONNECT' }) + head('/behind', { host: at('site.test') }));
  const told = await within('the end', client.ended());
  t.regex(told, /^HTTP\/1\.1 501 /);
  t.is(told.match(/^HTTP\/1\.1 /gm)?.length, 1);
  t.deepEqual(seen('/behind'), []);
});
