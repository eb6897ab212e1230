/**
 * `/public/../admin`, `/public/%2e%2e/admin`, `/public//admin`, `/public/..;/admin`: filters judged the text before the origin (or a
 * proxy in between) made another path of it.
 *
 * Here a path that is not canonical is refused, never rewritten; and the bytes that were judged are those that the origin gets.
 */
import test from 'ava';
import { allowedRun, fileScene } from '../helpers/scene.ts';
import { ask, head, RawClient } from '../helpers/proxy-worker.ts';

const scene = fileScene();
const below = (port: number) => ({ allow: [{ host: 'site.test', ports: [port], methods: ['GET'], path_prefix: '/public' }] });

const leaving = [
  '/public/../admin', '/public/..', '/public/./../admin', '/public/%2e%2e/admin', '/public/%2E%2e/admin', '/public/.%2e/admin', '/public/%2e%2e%2fadmin', '/public/..%2fadmin', '/public/..%2Fadmin', '/public%2f..%2fadmin',
  '/public/..;/admin', '/public/..;a=b/admin', '/public/.;/../admin', '/public/..\\admin', '/public\\..\\admin', '/public/%5c..%5cadmin', '/public/..%5cadmin', '/public/%c0%ae%c0%ae/admin', '/public/%e0%80%ae%e0%80%ae/admin',
  '/public/%252e%252e/admin%', '/public//../admin', '/public/a/../../admin', '/public/%00/../admin', '/./public/../admin', '/public/..?x', '/public/..#x', '/public/%u002e%u002e/admin', '/public/\xc0\xae\xc0\xae/admin',
  '//admin', '/public//admin', '/%70ublic/admin', '/./public', '/public/.', '/public/%2f', '/public/a%0d%0aX: y', '/public/\t', '/public/%7e',
];
for (const path of leaving) {
  test.serial(`refused: ${JSON.stringify(path)}`, async (t) => {
    const { proxy, site } = scene();
    const run = await allowedRun(scene(), below(site.port));
    const before = site.requests.length;
    const authority = `site.test:${site.port}`;
    const direct = await ask(proxy, `http://${authority}${path}`, { authorization: run.authorization });
    t.true([400, 403].includes(direct.status), `${direct.head}\n${direct.body}`);
    const client = new RawClient(proxy);
    await client.send(head(authority, { method: 'CONNECT', authorization: run.authorization })).answer();
    const inside = await client.send(head(path, { host: authority })).answer();
    client.socket.destroy();
    t.deepEqual([inside.status, inside.code], [direct.status, direct.code], 'inside a CONNECT it was judged otherwise');
    t.is(site.requests.slice(before).filter(({ url }) => !url.startsWith('/public/ok')).length, 0);
  });
}

const beside = ['/publicx', '/public.', '/Public', '/PUBLIC/x', '/', '/admin', '/admin?/public', '/admin/public', '/public;x/../y', '/publi'];
for (const path of beside) {
  test(`beside the prefix: ${path}`, async (t) => {
    const { proxy, site } = scene();
    const run = await allowedRun(scene(), below(site.port));
    const answer = await ask(proxy, `http://site.test:${site.port}${path}`, { authorization: run.authorization });
    t.true(['policy_denied', 'path_not_canonical', 'ambiguous_target'].includes(answer.code ?? ''), answer.code);
    t.false(site.requests.some(({ url }) => url === path));
  });
}

for (const path of ['/public', '/public/', '/public/ok/a%20b', '/public/ok/a;b=c', '/public/ok?x=/../y', '/public/ok/%E2%82%AC', '/public/ok/a%2Fb', '/public/ok/...', '/public/ok/~a!$&\'()*+,=:@']) {
  test(`allowed, and sent byte for byte: ${path}`, async (t) => {
    const { proxy, site } = scene();
    const run = await allowedRun(scene(), below(site.port));
    t.is((await ask(proxy, `http://site.test:${site.port}${path}`, { authorization: run.authorization })).status, 200);
    t.true(site.requests.some(({ url }) => url === path));
  });
}
