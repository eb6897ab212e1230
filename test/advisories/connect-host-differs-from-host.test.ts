/**
 * Domain fronting: the CONNECT, the absolute target or the first request names an allowed host, and `Host` another one behind the
 * same address; filters that judged one of them let the other through.
 *
 * Here every place that names a host names the same one, on each request of a connection, or the request is refused.
 */
import test from 'ava';
import { allowedRun, fileScene } from '../helpers/scene.ts';
import { head, RawClient } from '../helpers/proxy-worker.ts';

const scene = fileScene();

test.serial('absolute form and Host that differ', async (t) => {
  const { proxy, site, forbidden } = scene();
  const run = await allowedRun(scene());
  for (const host of [`forbidden.test:${site.port}`, 'site.test', `site.test:${forbidden.port}`, `127.0.0.1:${site.port}`]) {
    const client = new RawClient(proxy);
    const answer = await client.send(head(`http://site.test:${site.port}/fronted`, { host, authorization: run.authorization })).answer();
    client.socket.destroy();
    t.is(answer.code, 'core.host_mismatch', host);
  }
  t.is(site.requests.length, 0);
});

test('the same host in another spelling is no difference, and what is sent is the canonical one', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene());
  const client = new RawClient(proxy);
  t.is((await client.send(head(`http://site.test:${site.port}/spelled`, { host: `SITE.test.:${site.port}`, authorization: run.authorization })).answer()).status, 200);
  client.socket.destroy();
  t.is(site.requests.find(({ url }) => url === '/spelled')?.headers.host, `site.test:${site.port}`);
});

test('a CONNECT whose Host is another one', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [site.port], methods: ['TUNNEL'] }] });
  const client = new RawClient(proxy);
  t.is((await client.send(head(`site.test:${site.port}`, { method: 'CONNECT', host: `forbidden.test:${site.port}`, authorization: run.authorization })).answer()).code, 'core.host_mismatch');
  client.socket.destroy();
});

test('inside a CONNECT the second request is held to it as the first one was', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene());
  const client = new RawClient(proxy);
  const authority = `site.test:${site.port}`;
  t.is((await client.send(head(authority, { method: 'CONNECT', authorization: run.authorization })).answer()).status, 200);
  t.is((await client.send(head('/inside-1', { host: authority })).answer()).status, 200);
  t.is((await client.send(head('/inside-2', { host: `forbidden.test:${site.port}` })).answer()).code, 'core.host_mismatch');
  t.is((await client.send(head('/inside-3', { host: authority })).answer()).status, 200);
  client.socket.destroy();
  t.deepEqual(site.requests.filter(({ url }) => url.startsWith('/inside')).map(({ url }) => url), ['/inside-1', '/inside-3']);
});

test('two Host fields, or none', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene());
  const first = `GET http://site.test:${site.port}/two HTTP/1.1\r\nProxy-Authorization: ${run.authorization}\r\n`;
  const host = `Host: site.test:${site.port}\r\n`;
  for (const fields of [`${host}Host: forbidden.test\r\n`, `${host}${host}`, `${host}host: forbidden.test\r\n`, '', 'Host : site.test\r\n', `${host.trimEnd()}, forbidden.test\r\n`]) {
    const client = new RawClient(proxy);
    const answer = await client.send(`${first}${fields}\r\n`).answer();
    client.socket.destroy();
    t.is(answer.status, 400, fields);
  }
  t.false(site.requests.some(({ url }) => url === '/two'));
});
