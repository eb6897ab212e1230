/**
 * Egress filters that looked at names on 80 and 443 only: another port of an allowed host, or its address in place of its name, in any
 * of the spellings that a resolver takes for an address, went through unseen.
 *
 * Here an entry covers the host and the ports it names; an address is no name, however it is spelled.
 */
import test from 'ava';
import { allowedRun, askInForm, fileScene, forms } from '../helpers/scene.ts';

const scene = fileScene();

for (const form of forms) {
  test(`another port of an allowed host: ${form}`, async (t) => {
    const { forbidden } = scene();
    const run = await allowedRun(scene());
    t.is((await askInForm(scene(), run, form, `site.test:${forbidden.port}`)).code, 'policy_denied');
    t.is(forbidden.requests.length, 0);
  });

  for (const spelling of ['127.0.0.1', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.0.0.1', '0177.0.0.1', '017700000001', '0x7F.1', '127.0.0.1.', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]']) {
    test(`the address of an allowed host, spelled ${spelling}: ${form}`, async (t) => {
      const { proxy, site } = scene();
      const run = await allowedRun(scene());
      const before = proxy.asked.length;
      const answer = await askInForm(scene(), run, form, `${spelling}:${site.port}`, '/literal');
      t.true([400, 403].includes(answer.status), answer.body);
      t.true(['policy_denied', 'core.non_public_address', 'bad_request'].includes(answer.code ?? ''), answer.code);
      t.is(proxy.asked.length, before, 'it was looked up as if it were a name');
      t.false(site.requests.some(({ url }) => url === '/literal'));
    });
  }

  for (const port of ['0', '00080', '65536', '-80', '+80', '', '80x', '0x50', '4294967376', '%38%30', '80,81', '80 ']) {
    test(`a port that is read in more ways than one: ${JSON.stringify(port)} by ${form}`, async (t) => {
      const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [80, 8, 81], methods: ['*'] }] });
      t.is((await askInForm(scene(), run, form, `site.test:${port}`)).status, 400);
    });
  }
}

test('an address that is allowed by its number is reached by any spelling of it, recorded as one', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene(), { allow: [{ host: '127.0.0.1', ports: [site.port], methods: ['GET'] }] });
  for (const spelling of ['127.0.0.1', '2130706433', '0x7f.1']) {
    t.is((await askInForm(scene(), run, 'absolute', `${spelling}:${site.port}`, '/number')).status, 200, spelling);
  }
  t.deepEqual(site.requests.filter(({ url }) => url === '/number').map(({ headers }) => headers.host), Array.from({ length: 3 }, () => `127.0.0.1:${site.port}`));
  await proxy.control.ingested('all three', () => proxy.control.of(run, 'egress.decided').length === 3);
  t.true(proxy.control.of(run, 'egress.decided').every(({ payload }) => (payload as { host: string }).host === '127.0.0.1'));
});
