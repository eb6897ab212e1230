/**
 * Sandboxes whose own API could be reached by the sandboxed: on loopback, by another name of the machine, by 0.0.0.0, through the
 * very proxy that should keep the agent in. The agent then allowed itself everything.
 *
 * Here the addresses of the proxy and of its control plane are refused under every spelling and name, also to a run that may dial
 * every range; and the name that agents know it by leads nowhere but to what is made for them.
 */
import test from 'ava';
import { join } from 'node:path';
import { fileLifetime } from '../helpers/lifetime.ts';
import { allowedRun, askInForm, forms, type Scene } from '../helpers/scene.ts';
import { head, RawClient, startLocalOrigin, startProxyWorker } from '../helpers/proxy-worker.ts';

const lifetime = fileLifetime();
let scene: Scene;
test.before(async () => {
  // Stands for the control plane's API.
  const api = await startLocalOrigin(lifetime);
  const proxy = await startProxyWorker(lifetime, {
    names: { 'alias.test': ['127.0.0.1'], 'any.test': ['0.0.0.0'], 'six.test': ['::1'], 'mapped.test': ['::ffff:127.0.0.1'], 'other.test': ['127.9.9.9'], 'mixed.test': ['20.30.40.50', '127.0.0.1'] },
    configuration: { own_addresses: [{ host: '127.0.0.1', port: api.port }] },
  });
  scene = { proxy, site: api, forbidden: api };
});
const everywhere = { allow_addresses: ['0.0.0.0/0', '::/0'] };
const hosts = ['127.0.0.1', '127.1', '2130706433', '0.0.0.0', '0', 'localhost', 'a.localhost', '[::1]', '[::ffff:127.0.0.1]', '[::]', '[64:ff9b::7f00:1]', 'alias.test', 'any.test', 'six.test', 'mapped.test', 'mixed.test', 'LOCALHOST.'];

for (const form of forms) {
  test(`neither the API nor the proxy by any spelling: ${form}`, async (t) => {
    for (const port of [scene.site.port, scene.proxy.port]) {
      for (const host of hosts) {
        const allow = ['GET', 'TUNNEL'].flatMap((method) => ['*.test', '*.localhost', 'localhost', '127.0.0.1', '0.0.0.0', '::1', '::ffff:7f00:1', '::', '64:ff9b::7f00:1'].map((name) => ({ host: name, ports: [port], methods: [method] })));
        const run = await allowedRun(scene, { allow, policy: everywhere });
        const answer = await askInForm(scene, run, form, `${host}:${port}`);
        const code = form !== 'absolute' && host.startsWith('[') && answer.status === 400 ? 'bad_request' : 'core.self_address';
        t.is(answer.code, code, `${host}:${port} ${answer.body}`);
      }
    }
    t.is(scene.site.requests.length, 0);
  });
}

test('the name that agents use is no way to another port, and its subdomains are nobody\'s', async (t) => {
  const run = await allowedRun(scene, { allow: [{ host: '*.internal', ports: [80, 443, 8080, scene.site.port], methods: ['*'] }, { host: '*.internal', ports: [443], methods: ['TUNNEL'] }], policy: everywhere });
  for (const host of [`sallyport.internal:${scene.site.port}`, 'sallyport.internal:8080', 'x.sallyport.internal:80']) t.is((await askInForm(scene, run, 'absolute', host)).code, 'core.self_address', host);
  t.is((await askInForm(scene, run, 'connect', 'sallyport.internal:443')).code, 'core.self_address');
  t.false(scene.proxy.asked.some((name) => name.endsWith('internal')));
  t.is(scene.site.requests.length, 0);
});

test('no socket of the machine is a target either', async (t) => {
  const run = await allowedRun(scene, { policy: everywhere });
  const path = encodeURIComponent(join(scene.proxy.folder, 'api.sock'));
  for (const target of [`unix:${path}`, `http+unix://${path}/`, `http://unix:${path}:/`, `file://${scene.proxy.folder}/api.sock`]) {
    const client = new RawClient(scene.proxy);
    const answer = await client.send(head(target, { host: 'site.test', authorization: run.authorization })).answer();
    client.socket.destroy();
    t.true(answer.status >= 400, target);
  }
});
