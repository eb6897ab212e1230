/**
 * Proxies that grew a check in their CONNECT path and forgot the plain path, or the other way round, and had to mend everything
 * twice (several sandboxes' egress filters).
 *
 * Here every form goes the same way: the same place is refused with the same code, or allowed, whichever way it is asked for.
 */
import test from 'ava';
import { allowedRun, askInForm, fileScene, forms } from '../helpers/scene.ts';

const scene = fileScene({ names: { 'inside.test': ['10.1.2.3'], 'metadata.test': ['20.30.40.50', '169.254.169.254'], 'own.test': ['127.0.0.1'] } });
const anything = (host: string, port: number) => [{ host, ports: [port], methods: ['*'] }, { host, ports: [port], methods: ['TUNNEL'] }];

for (const channel of ['credentials', 'jail'] as const) {
  for (const form of forms) {
    test(`a host that nothing allows: ${form}, ${channel}`, async (t) => {
      const { forbidden } = scene();
      const run = await allowedRun(scene(), { channel });
      t.is((await askInForm(scene(), run, form, `forbidden.test:${forbidden.port}`)).code, 'policy_denied');
      t.is(forbidden.requests.length, 0);
    });

    test(`addresses that may not be dialled: ${form}, ${channel}`, async (t) => {
      const places = [['inside.test', 80, 'core.non_public_address'], ['metadata.test', 80, 'core.metadata_address'], ['own.test', scene().proxy.port, 'core.self_address']] as const;
      for (const [host, port, code] of places) {
        const run = await allowedRun(scene(), { channel, allow: anything(host, port), policy: {} });
        t.is((await askInForm(scene(), run, form, `${host}:${port}`)).code, code);
      }
    });

    test(`no budget: ${form}, ${channel}`, async (t) => {
      const { site } = scene();
      const run = await allowedRun(scene(), { channel, allow: anything('site.test', site.port), policy: { allow_addresses: ['127.0.0.0/8'] }, limits: { requests: 0 } });
      t.is((await askInForm(scene(), run, form, `site.test:${site.port}`, '/unpaid')).code, 'budget_exhausted');
      t.false(site.requests.some(({ url }) => url === '/unpaid'));
    });
  }
}

test('and what is allowed is allowed in each form, recorded as that form', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene());
  const tunnels = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [site.port], methods: ['TUNNEL'] }] });
  t.is((await askInForm(scene(), run, 'absolute', `site.test:${site.port}`, '/allowed')).status, 200);
  t.is((await askInForm(scene(), run, 'inside', `site.test:${site.port}`, '/allowed')).status, 200);
  t.is((await askInForm(scene(), tunnels, 'connect', `site.test:${site.port}`, '/allowed')).status, 200);
  t.is(site.requests.filter(({ url }) => url === '/allowed').length, 3);
  await proxy.control.ingested('all three', () => proxy.control.of(run, 'egress.decided').length === 2 && proxy.control.of(tunnels, 'egress.decided').length === 1);
  t.deepEqual([...proxy.control.of(run, 'egress.decided'), ...proxy.control.of(tunnels, 'egress.decided')].map(({ payload }) => (payload as { form: string }).form), ['absolute', 'inside', 'connect']);
});
