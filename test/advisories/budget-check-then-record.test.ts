/**
 * Budgets that were looked at before and written down after: parallel requests all saw the last unit and all took it.
 *
 * Here a unit is taken before the request is sent, once; the count is the origin's.
 */
import test from 'ava';
import { allowedRun, askInForm, fileScene } from '../helpers/scene.ts';
import { ask } from '../helpers/proxy-worker.ts';

const scene = fileScene();

for (const limit of [1, 7]) {
  test.serial(`60 at once with ${limit} left: ${limit} arrive`, async (t) => {
    const { proxy, site } = scene();
    const run = await allowedRun(scene(), { limits: { requests: limit } });
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(proxy, `http://site.test:${site.port}/${limit}-left`, { authorization: run.authorization })));
    t.is(site.requests.filter(({ url }) => url === `/${limit}-left`).length, limit);
    t.is(answers.filter(({ status }) => status === 200).length, limit);
    t.true(answers.every(({ status, code }) => status === 200 || code === 'budget_exhausted'));
    await proxy.control.ingested('all', () => proxy.control.of(run, 'egress.denied').length === 60 - limit && proxy.control.of(run, 'egress.completed').length === limit);
    t.is(proxy.control.used(run, 'requests'), limit);
  });
}

test.serial('the same in mixed forms, on connections that are kept', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene(), { limits: { requests: 5 } });
  const forms = ['absolute', 'inside'] as const;
  const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => askInForm(scene(), run, forms[index % 2]!, `site.test:${site.port}`, '/mixed')));
  t.is(site.requests.filter(({ url }) => url === '/mixed').length, 5);
  t.is(answers.filter(({ status }) => status === 200).length, 5);
  await proxy.control.ingested('all', () => proxy.control.of(run, 'egress.denied').length === 35);
  t.is(proxy.control.used(run, 'requests'), 5);
});

test.serial('bytes as well: parallel uploads with room for one pass no byte more than that', async (t) => {
  const limit = 60_000;
  const { proxy, site } = scene();
  const run = await allowedRun(scene(), { limits: { bytes_out: limit } });
  await Promise.all(Array.from({ length: 8 }, () => ask(proxy, `http://site.test:${site.port}/upload`, { method: 'POST', authorization: run.authorization, body: 'x'.repeat(40_000) }).catch(() => undefined)));
  await proxy.control.ingested('all', () => proxy.control.of(run).filter(({ type }) => /denied|completed|cut|failed/.test(type)).length === 8);
  t.true(proxy.control.used(run, 'bytes_out') <= limit, `${proxy.control.used(run, 'bytes_out')}`);
  const arrived = site.requests.filter(({ url }) => url === '/upload').length;
  t.true(arrived <= 8);
});
