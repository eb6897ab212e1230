/**
 * Meters that were read from the end of a stream: who closed before the end had used nothing, and could do so for ever.
 *
 * Here what has passed is spent, whoever ends the stream and however: never less than what the other side got.
 */
import test from 'ava';
import { allowedRun, fileScene } from '../helpers/scene.ts';
import { head, RawClient, startLocalServer } from '../helpers/proxy-worker.ts';
import { until } from '../helpers/wait.ts';

const scene = fileScene();
const limits = { requests: 10, bytes_in: 10_000_000, bytes_out: 10_000_000 };

for (const how of ['close', 'reset'] as const) {
  test(`a download that the client leaves (${how}) costs what the client got`, async (t) => {
    const origin = await startLocalServer(t, (socket) => { socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(50_000)}`)); });
    const { proxy } = scene();
    const run = await allowedRun(scene(), { limits, allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }] });
    const client = new RawClient(proxy);
    const text = await client.send(head(`http://site.test:${origin.port}/`, { authorization: run.authorization })).until('all that came', (got) => got.length >= 50_000);
    if (how === 'close') client.socket.destroy();
    else client.socket.resetAndDestroy();
    await proxy.control.ingested('the end', () => proxy.control.of(run, 'egress.failed').length === 1);
    t.is(proxy.control.of(run, 'egress.failed')[0]?.facts['code'], 'client_gone');
    t.is(proxy.control.used(run, 'requests'), 1);
    t.true(proxy.control.used(run, 'bytes_in') >= text.indexOf('\r\n\r\n') + 50_000, `${proxy.control.used(run, 'bytes_in')}`);
  });
}

test('who leaves again and again gets no more than the budget in all', async (t) => {
  const limit = 200_000;
  const origin = await startLocalServer(t, (socket) => { socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(60_000)}`)); });
  const { proxy } = scene();
  const run = await allowedRun(scene(), { limits: { bytes_in: limit }, allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }] });
  let got = 0;
  for (let attempt = 1; attempt <= 5; attempt++) {
    const client = new RawClient(proxy);
    const text = await client.send(head(`http://site.test:${origin.port}/`, { authorization: run.authorization })).until('all that may come', (so) => so.length > 60_000 || so.includes('budget_exhausted')).catch(() => client.text);
    if (!text.includes('budget_exhausted')) got += text.length;
    client.socket.destroy();
    await proxy.control.ingested('the end', () => proxy.control.of(run).filter(({ type }) => /denied|failed|cut/.test(type)).length === attempt);
  }
  t.true(got > 100_000 && got <= limit, `${got} bytes`);
  t.true(proxy.control.used(run, 'bytes_in') <= limit);
});

test('an upload that breaks off costs what the origin got', async (t) => {
  let received = 0;
  const origin = await startLocalServer(t, (socket) => { socket.on('data', (bytes: Buffer) => { received += bytes.length; }); });
  const { proxy } = scene();
  const run = await allowedRun(scene(), { limits, allow: [{ host: 'site.test', ports: [origin.port], methods: ['POST'] }] });
  const client = new RawClient(proxy);
  client.send(head(`http://site.test:${origin.port}/`, { method: 'POST', authorization: run.authorization, fields: ['Content-Length: 1000000'] }) + 'x'.repeat(40_000));
  await until('the upload at the origin', () => received > 40_000);
  client.socket.destroy();
  await proxy.control.ingested('the end', () => proxy.control.of(run, 'egress.failed').length === 1);
  t.is(proxy.control.used(run, 'bytes_out'), received);
});

test('an origin that dies in the middle costs what it said', async (t) => {
  const origin = await startLocalServer(t, (socket) => { socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(20_000)}`, () => socket.destroySoon())); });
  const { proxy } = scene();
  const run = await allowedRun(scene(), { limits, allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }] });
  const client = new RawClient(proxy);
  await client.send(head(`http://site.test:${origin.port}/`, { authorization: run.authorization })).ended();
  await proxy.control.ingested('the end', () => proxy.control.of(run, 'egress.failed').length === 1);
  t.true(proxy.control.used(run, 'bytes_in') > 20_000);
});

test('a tunnel that is dropped costs both ways', async (t) => {
  const origin = await startLocalServer(t, (socket) => { socket.once('data', () => socket.write('GET'.repeat(3000))); });
  const { proxy } = scene();
  const run = await allowedRun(scene(), { limits, allow: [{ host: 'site.test', ports: [origin.port], methods: ['TUNNEL'] }] });
  const client = new RawClient(proxy);
  await client.send(head(`site.test:${origin.port}`, { method: 'CONNECT', authorization: run.authorization })).until('the tunnel', (text) => text.includes('\r\n\r\n'));
  await client.send('GET / HTTP/1.1\r\nHost: site.test\r\n\r\n').until('what the origin says', (text) => text.endsWith('GET'.repeat(3000)));
  client.socket.resetAndDestroy();
  await proxy.control.ingested('the end', () => proxy.control.of(run).length === 2);
  t.is(proxy.control.used(run, 'bytes_in'), 9000);
  t.is(proxy.control.used(run, 'bytes_out'), 'GET / HTTP/1.1\r\nHost: site.test\r\n\r\n'.length);
});
