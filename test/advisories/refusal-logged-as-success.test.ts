/**
 * Logs in which a request that the proxy had refused, or one that never came back, stood as sent and answered: goals were taken for
 * met, and audits for clean.
 *
 * Here the kinds are apart: refused (nothing left), completed (whatever the origin said, with its status), failed and cut; one
 * ending for each exchange.
 */
import test from 'ava';
import { allowedRun, fileScene } from '../helpers/scene.ts';
import { ask, head, RawClient, startLocalOrigin, startLocalServer } from '../helpers/proxy-worker.ts';

const scene = fileScene();

test('what an origin refuses is completed with its status; what we refuse is denied and has none', async (t) => {
  const origin = await startLocalOrigin(t, (_request, response) => { response.statusCode = 403; response.end('no'); });
  const { proxy } = scene();
  const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }] });
  t.is((await ask(proxy, `http://site.test:${origin.port}/`, { authorization: run.authorization })).body, 'no');
  t.is((await ask(proxy, `http://forbidden.test:${origin.port}/`, { authorization: run.authorization })).code, 'policy_denied');
  await proxy.control.ingested('both', () => proxy.control.of(run).length === 3);
  const [decided, completed, denied] = ['egress.decided', 'egress.completed', 'egress.denied'].map((type) => proxy.control.of(run, type));
  t.deepEqual([decided?.length, completed?.length, denied?.length], [1, 1, 1]);
  t.like(completed?.[0]?.payload, { status: 403 });
  t.deepEqual([denied?.[0]?.facts['code'], denied?.[0]?.facts['effect'], denied?.[0]?.facts['spent']], ['policy_denied', 'deny', undefined]);
});

test('what breaks off is failed, never completed, although a status had come', async (t) => {
  const origin = await startLocalServer(t, (socket) => { socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => socket.destroySoon())); });
  const { proxy } = scene();
  const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }] });
  const client = new RawClient(proxy);
  await client.send(head(`http://site.test:${origin.port}/`, { authorization: run.authorization })).ended();
  await proxy.control.ingested('its end', () => proxy.control.of(run).length === 2);
  t.deepEqual(proxy.control.of(run).map(({ type }) => type), ['egress.decided', 'egress.failed']);
  t.like(proxy.control.of(run)[1], { facts: { code: 'upstream_reset' }, payload: { status: 200 } });
});
