/**
 * Proxies that said a changed policy was in effect, or that a run had ended, and went on by the old one for seconds.
 *
 * Here a change is acknowledged when it is in effect: the first request after the acknowledgement is judged by it.
 */
import test from 'ava';
import { runPolicySchema } from '../../contracts/run-policy.ts';
import { allowedRun, fileScene } from '../helpers/scene.ts';
import { ask } from '../helpers/proxy-worker.ts';

const scene = fileScene();
const policy = (hosts: readonly string[], port: number) => runPolicySchema.parse({
  allow: hosts.map((host, index) => ({ id: `a${index}`, host, ports: [port], methods: ['GET'] })), allow_addresses: ['127.0.0.0/8'],
});

test('acknowledged means in effect, there and back', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene());
  const target = `http://site.test:${site.port}/`;
  for (let round = 0; round < 20; round++) {
    proxy.control.update(run, { policy: policy(round % 2 === 0 ? [] : ['site.test'], site.port) });
    await proxy.control.acknowledgedAll();
    t.is((await ask(proxy, target, { authorization: run.authorization })).status, round % 2 === 0 ? 403 : 200, `round ${round}`);
  }
});

test('nor does a verdict that is remembered outlive what it rested on', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene());
  const target = `http://site.test:${site.port}/`;
  for (let index = 0; index < 5; index++) t.is((await ask(proxy, target, { authorization: run.authorization })).status, 200);
  proxy.control.update(run, { policy: policy(['site.test'], site.port + 1) });
  await proxy.control.acknowledgedAll();
  t.is((await ask(proxy, target, { authorization: run.authorization })).code, 'policy_denied');
  // Names that were allowed to be dialled a moment ago are no longer, once their range is not named.
  proxy.control.update(run, { policy: { ...policy(['site.test'], site.port), allow_addresses: [] } });
  await proxy.control.acknowledgedAll();
  t.is((await ask(proxy, target, { authorization: run.authorization })).code, 'core.non_public_address');
});
