/**
 * Proxies that resolved a name before they asked whether it is allowed: `<secret>.attacker.example` had reached the attacker's name
 * server when the denial was spoken (data leaves by labels).
 *
 * Here policy comes first: for a name that is refused, whatever the reason, no server is asked.
 */
import test from 'ava';
import { allowedRun, askInForm, fileScene, forms } from '../helpers/scene.ts';
import { ask } from '../helpers/proxy-worker.ts';

const scene = fileScene();
const secret = '73656372657420.attacker.test';

for (const form of forms) {
  test(`no query for a denied name: ${form}`, async (t) => {
    const { proxy } = scene();
    const run = await allowedRun(scene());
    for (const port of [80, 443, 53]) t.is((await askInForm(scene(), run, form, `${secret}:${port}`)).status, 403);
    t.false(proxy.asked.some((name) => name.endsWith('attacker.test')));
  });
}

test('nor for one that is allowed elsewhere: by another method, port or path', async (t) => {
  const { proxy } = scene();
  const run = await allowedRun(scene(), { allow: [{ host: '*.attacker.test', ports: [8080], methods: ['GET'], path_prefix: '/only' }] });
  for (const target of [`http://a.${secret}/only`, `http://b.${secret}:8080/other`, `http://c.${secret}:8080/only/../x`]) t.true((await ask(proxy, target, { authorization: run.authorization })).status >= 400, target);
  t.true((await ask(proxy, `http://d.${secret}:8080/only`, { method: 'POST', authorization: run.authorization })).status >= 400);
  t.true((await ask(proxy, `http://e.${secret}:8080/only`, { host: 'other.test', authorization: run.authorization })).status >= 400);
  t.false(proxy.asked.some((name) => name.endsWith('attacker.test')), JSON.stringify(proxy.asked));
});

test('nor without credentials, or for a run that has ended', async (t) => {
  const { proxy } = scene();
  t.is((await ask(proxy, `http://f.${secret}/`)).status, 407);
  const run = await allowedRun(scene(), { allow: [{ host: '*.attacker.test', ports: [80], methods: ['GET'] }] });
  proxy.control.update(run, { state: 'Cancelled' });
  await proxy.control.acknowledgedAll();
  t.is((await ask(proxy, `http://g.${secret}/`, { authorization: run.authorization })).code, 'run_ended');
  t.false(proxy.asked.some((name) => name.endsWith('attacker.test')), JSON.stringify(proxy.asked));
});

test('and one query for a name that is allowed', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene());
  t.is((await askInForm(scene(), run, 'absolute', `site.test:${site.port}`)).status, 200);
  t.deepEqual(proxy.asked, ['site.test']);
});
