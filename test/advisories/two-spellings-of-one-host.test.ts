/**
 * Lists that compare letters, and resolvers that don't: capitals, escapes, NUL, other scripts, invisible characters, user information
 * made one host look like another to whoever judged it.
 *
 * Here what can be made canonical is judged, sent and recorded in that one spelling; all else is refused, and nothing is looked up.
 */
import test from 'ava';
import { allowedRun, askInForm, fileScene } from '../helpers/scene.ts';
import { head, RawClient } from '../helpers/proxy-worker.ts';

const scene = fileScene({ names: { 'xn--bcher-kva.test': ['127.0.0.1'] } });

for (const spelling of ['SITE.test', 'Site.TEST', 'sItE.tEsT.']) {
  test(`capitals are the same host: ${spelling}`, async (t) => {
    const { site } = scene();
    const run = await allowedRun(scene());
    t.is((await askInForm(scene(), run, 'absolute', `${spelling}:${site.port}`, `/${spelling}`)).status, 200);
    t.is(site.requests.find(({ url }) => url === `/${spelling}`)?.headers.host, `site.test:${site.port}`);
  });
  test(`and a denied one stays denied: ${spelling}`, async (t) => {
    const { forbidden } = scene();
    const run = await allowedRun(scene());
    t.is((await askInForm(scene(), run, 'absolute', `${spelling.replace(/site/i, 'FORBIDDEN')}:${forbidden.port}`)).code, 'policy_denied');
    t.is(forbidden.requests.length, 0);
  });
}

/** latin1, as on the wire: `\xc3\xbc` is an u umlaut in UTF-8. */
const refused = [
  's%69te.test', 'site%2etest', 'site.test%00', 'site.test%00.forbidden.test', 'forbidden.test%23.site.test', 'site.test\0', 'site.test\0.forbidden.test', 'site.test\x7f',
  'site\u00adtest', 'b\xc3\xbccher.test', 'b\xfccher.test', 'xn--.test', 'xn--a.test', 'xn--site-.test', 'user@site.test', 'site.test@forbidden.test', 'site.test:80@forbidden.test',
  'site.test\\.forbidden.test', 'site.test\\@forbidden.test', 'site.test#@forbidden.test', 'site_.test|', 'site.test,forbidden.test', '*.test', `${'a'.repeat(64)}.test`, `${'a.'.repeat(130)}test`,
  '1.2.3.4.5', '256.1.1.1', '0x100000000', '1.2.3.0x', '127.0.0.0x1g',
];
for (const [index, spelling] of refused.entries()) {
  test.serial(`refused, and nothing is looked up: ${index} ${JSON.stringify(spelling.slice(0, 60))}`, async (t) => {
    const { proxy, site, forbidden } = scene();
    const run = await allowedRun(scene(), {
      allow: [{ host: '*.test', ports: [80, site.port], methods: ['*'] }, { host: '*.site.test', ports: [80, site.port], methods: ['*'] }],
    });
    const before = [proxy.asked.length, site.requests.length, forbidden.requests.length];
    for (const form of ['absolute', 'connect'] as const) {
      const client = new RawClient(proxy);
      const authority = `${spelling}:${site.port}`;
      const target = form === 'absolute' ? `http://${authority}/` : authority;
      const answer = await client.send(head(target, { method: form === 'absolute' ? 'GET' : 'CONNECT', host: 'site.test', authorization: run.authorization })).answer();
      client.socket.destroy();
      // A target with # or ? ends the host there, and then Host names another one.
      t.true(answer.status === 400 || (answer.status === 403 && ['policy_denied', 'core.host_mismatch'].includes(answer.code ?? '')), `${form}: ${answer.head}\n${answer.body}`);
    }
    t.deepEqual([proxy.asked.length, site.requests.length, forbidden.requests.length], before);
  });
}

test('a name in another script is one host by its A-label', async (t) => {
  const { site } = scene();
  const run = await allowedRun(scene(), { allow: [{ host: 'xn--bcher-kva.test', ports: [site.port], methods: ['GET'] }] });
  t.is((await askInForm(scene(), run, 'absolute', `XN--BCHER-KVA.test:${site.port}`)).status, 200);
});
