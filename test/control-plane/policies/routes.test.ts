import test from 'ava';
import { fileURLToPath } from 'node:url';
import { runPolicySchema } from '../../../contracts/run-policy.ts';
import { packBundle } from '../../../engine/bundle.ts';
import { loadBundle } from '../../../engine/load-bundle.ts';
import { proxyToken, startTestControlPlane } from '../harness.ts';

interface Answer { readonly code: string | null; readonly effect?: string; readonly url?: string; readonly reasons?: readonly object[]; readonly errors?: readonly { readonly path: string }[] }

test.serial('an agent asks about its own run, an operator names one; mistakes are told with their field', async (t) => {
  const bundle = await loadBundle(fileURLToPath(new URL('../../../policies', import.meta.url)));
  const plane = await startTestControlPlane(t, { bundle: { revision: bundle.revision, body: Buffer.from(packBundle(bundle)) } });
  const policy = runPolicySchema.parse({ allow: [{ id: 'a', host: 'site.test', ports: [80], methods: ['GET'], path_prefix: null }] });
  const [own, other] = await Promise.all([1, 2].map(async () => (await plane.call<{ run_id: string; agent_token: string }>('POST', '/chat/run', { body: { goal: 'x', policy } })).body));
  const ask = (query: string, token?: string, headers?: Readonly<Record<string, string>>) => plane.call<Answer>('GET', `/chat/why?${query}`, { ...token !== undefined && { token }, ...headers !== undefined && { headers } });
  const url = `url=${encodeURIComponent('http://site.test/a?token=secret')}`;

  const agent = await ask(url, own!.agent_token);
  t.like(agent, { status: 200, body: { effect: 'allow', code: null, url: 'http://site.test/a' } });
  t.false(agent.text.includes('secret'));
  t.deepEqual(Object.keys(agent.body.reasons?.[0] ?? {}), ['effect', 'rule', 'message']);
  t.deepEqual((await ask(url, proxyToken, { 'sallyport-run': `${own!.run_id};epoch=1` })).body.reasons, agent.body.reasons, 'by its proxy');
  t.is((await ask(`${url}&run_id=${own!.run_id}`, own!.agent_token)).status, 200);
  t.like(await ask(`${url}&run_id=${other!.run_id}`, own!.agent_token), { status: 403, body: { code: 'forbidden' } });
  t.is((await ask(url, proxyToken)).status, 403, 'a proxy alone has no run');

  const operator = await ask(`${url}&method=POST&run_id=${own!.run_id}`);
  t.like(operator, { status: 200, body: { effect: 'deny', code: 'policy_denied' } });
  t.true(Object.keys(operator.body.reasons?.[0] ?? {}).includes('pack'));
  t.like(await ask(`${url}&run_id=run_none`), { status: 404, body: { code: 'not_found' } });

  for (const [query, path] of [[url, 'run_id'], ['', 'url'], ['url=site.test&run_id=x', 'url'], [`${url}&method=get&run_id=x`, 'method'], [`${url}&${url}&run_id=x`, 'url'], [`${url}&other=1&run_id=x`, 'other']] as const) {
    t.like(await ask(query), { status: 422, body: { code: 'invalid_request' } }, query);
    t.is((await ask(query)).body.errors?.[0]?.path, path, query);
  }
});
