/**
 * A name whose first answer is harmless and whose second one is not: filters that resolved to judge, and let a library resolve again
 * to connect, connected to what they had never seen. The same with one harmless answer among several.
 *
 * Here one look-up serves the verdict and the dial: all its answers are classified, and the address that is dialled is one of them.
 */
import test from 'ava';
import { allowedRun, askInForm, fileScene } from '../helpers/scene.ts';
import { until } from '../helpers/wait.ts';

const times = new Map<string, number>();
/** The first look-up of `rebinds.test` is harmless, every later one is not. A time to live of 0, as attackers choose it. */
const scene = fileScene({
  ask(host, family) {
    if (family === 6) return Promise.reject(Object.assign(new Error('none'), { code: 'ENODATA' }));
    const before = times.get(host) ?? 0;
    times.set(host, before + 1);
    const answers: Record<string, readonly (readonly string[])[]> = {
      'rebinds.test': [['127.0.0.1'], ['10.1.2.3']],
      'mixed.test': [['127.0.0.1', '10.1.2.3']],
      'mixed-last.test': [['10.1.2.3', '127.0.0.1']],
      'metadata.test': [['127.0.0.1', '169.254.169.254']],
    };
    const known = answers[host];
    if (known === undefined) return Promise.reject(Object.assign(new Error('none'), { code: 'ENOTFOUND' }));
    return Promise.resolve({ addresses: known[Math.min(before, known.length - 1)]!, ttlSeconds: 0 });
  },
});
const may = (host: string, port: number) => ({ allow: [{ host, ports: [port], methods: ['GET'] }], policy: { allow_addresses: ['127.0.0.0/8'] } });

test('the first answer is what is dialled: nothing is looked up between the verdict and the dial', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene(), may('rebinds.test', site.port));
  t.is((await askInForm(scene(), run, 'absolute', `rebinds.test:${site.port}`, '/rebinds')).status, 200);
  t.is(times.get('rebinds.test'), 1);
  await proxy.control.ingested('the end', () => proxy.control.of(run, 'egress.completed').length === 1);
  t.like(proxy.control.of(run, 'egress.decided')[0]?.payload, { addresses: ['127.0.0.1'] });
  t.like(proxy.control.of(run, 'egress.completed')[0]?.payload, { address: '127.0.0.1' });
  // A second later the name is asked for again, pooled connection or not, and now is what it is.
  const answer = await until('the name to be asked again', async () => {
    const next = await askInForm(scene(), run, 'absolute', `rebinds.test:${site.port}`, '/rebinds');
    return next.status === 403 && next;
  });
  t.is(answer.code, 'core.non_public_address');
});

for (const [host, code] of [['mixed.test', 'core.non_public_address'], ['mixed-last.test', 'core.non_public_address'], ['metadata.test', 'core.metadata_address']] as const) {
  test(`one bad answer among several refuses: ${host}`, async (t) => {
    const { site } = scene();
    const run = await allowedRun(scene(), may(host, site.port));
    t.is((await askInForm(scene(), run, 'absolute', `${host}:${site.port}`, '/mixed')).code, code);
    t.false(site.requests.some(({ url }) => url === '/mixed'));
  });
}
