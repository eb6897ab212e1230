/**
 * Sandboxes whose proxy closed the connection, or ended the whole session, on the first request that was denied: a stray telemetry
 * call cost the agent its work.
 *
 * Here a refusal is one answer: the connection (but of a CONNECT), the run and its budget are as they were.
 */
import test from 'ava';
import { allowedRun, fileScene } from '../helpers/scene.ts';
import { head, RawClient, runSocket } from '../helpers/proxy-worker.ts';

const scene = fileScene();

const denials: readonly (readonly [string, (port: number) => readonly [string, object]])[] = [
  ['another host', (port) => [`http://forbidden.test:${port}/`, {}]],
  ['another method', (port) => [`http://site.test:${port}/`, { method: 'DELETE' }]],
  ['another port', () => ['http://site.test:9/', {}]],
  ['a path that is not canonical', (port) => [`http://site.test:${port}/a/../b`, {}]],
  ['another Host', (port) => [`http://site.test:${port}/`, { host: 'forbidden.test' }]],
  ['a body that is not wanted', (port) => [`http://forbidden.test:${port}/`, { method: 'POST', body: 'x'.repeat(10_000) }]],
  ['a CONNECT', (port) => [`forbidden.test:${port}`, { method: 'CONNECT' }]],
  ['a CONNECT that needs to be looked into', () => ['site.test:443', { method: 'CONNECT' }]],
];

for (const channel of ['credentials', 'jail'] as const) {
  test(`after each of them the same connection works: ${channel}`, async (t) => {
    const { proxy, site } = scene();
    const run = await allowedRun(scene(), { channel, limits: { requests: denials.length } });
    const place = channel === 'jail' ? runSocket(proxy, run.snapshot.short_id) : proxy;
    let client = new RawClient(place);
    const authorization = channel === 'jail' ? {} : { authorization: run.authorization };
    for (const [index, [title, make]] of denials.entries()) {
      const [target, options] = make(site.port);
      const refused = await client.send(head(target, { ...options, ...authorization })).answer();
      t.true(refused.status === 403 || refused.status === 400, `${title}: ${refused.head}`);
      // What follows a refused CONNECT may be bytes meant for the tunnel: nobody could tell them from the next request.
      if (target.includes('//')) t.notRegex(refused.head, /connection: close/i, title);
      else client = new RawClient(place);
      const allowed = await client.send(head(`http://site.test:${site.port}/${channel}-${index}`, authorization)).answer();
      t.is(allowed.status, 200, title);
    }
    client.socket.destroy();
    t.is(site.requests.filter(({ url }) => url.startsWith(`/${channel}`)).length, denials.length, 'each of the budget\'s units was there');
    t.is(proxy.control.of(run, 'egress.cut').length, 0);
  });
}

test('two requests sent at once, the first denied: the second is answered, in order', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene());
  const client = new RawClient(proxy);
  client.send(head(`http://forbidden.test:${site.port}/`, { authorization: run.authorization }) + head(`http://site.test:${site.port}/after`, { authorization: run.authorization }));
  t.is((await client.answer()).code, 'policy_denied');
  t.is((await client.answer()).status, 200);
  client.socket.destroy();
});
