import test from 'ava';
import { fileURLToPath } from 'node:url';
import { runPolicySchema } from '../../../contracts/run-policy.ts';
import { activateBundle } from '../../../control-plane/policies/commands.ts';
import { PolicyEngine } from '../../../control-plane/policies/engine.ts';
import { readQuestion } from '../../../control-plane/policies/question.ts';
import { explain, type Why } from '../../../control-plane/policies/why.ts';
import { transitionRun } from '../../../control-plane/runs/commands.ts';
import type { Services } from '../../../control-plane/services.ts';
import { packBundle } from '../../../engine/bundle.ts';
import { loadBundle } from '../../../engine/load-bundle.ts';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { backends, newRun, servicesFor } from '../backends.ts';

const lifetime = fileLifetime();
let services: Services;
let policy: PolicyEngine;
let run_id: string;

const entry = (id: string, host: string, ports: number[], methods: string[], path_prefix: string | null = null) => ({ id, host, ports, methods, path_prefix });
const allow = [
  entry('a', 'site.test', [80], ['GET', 'HEAD']), entry('b', 'api.test', [80], ['POST'], '/v1'), entry('c', 'tunnel.test', [443], ['TUNNEL']),
  entry('d', 'half.test', [443, 8080], ['GET']), entry('e', '10.1.2.3', [80], ['GET']), entry('f', 'deep.test', [443], ['GET'], '/docs'), entry('g', '*.wide.test', [80], ['*'], '/open'),
];

test.before(async () => {
  services = await servicesFor(lifetime, await backends[0]!.locate(lifetime));
  policy = new PolicyEngine(services);
  await t_throws_no_policy();
  const bundle = await loadBundle(fileURLToPath(new URL('../../../policies', import.meta.url)));
  await activateBundle(services, { revision: bundle.revision, body: Buffer.from(packBundle(bundle)) });
  ({ run_id } = await newRun(services, { policy: runPolicySchema.parse({ allow }) }));
});

async function t_throws_no_policy(): Promise<void> {
  const error = await policy.current().then(() => undefined, (problem: unknown) => problem);
  if ((error as { code?: string } | undefined)?.code !== 'no_policy') throw new Error('Without a bundle there was an engine.');
}

async function why(url: string, method = 'GET', of = run_id, forAgent = true): Promise<Why> {
  return await explain(services, await policy.current(), of, readQuestion(url, method), forAgent);
}

interface Case { readonly url: string; readonly method?: string; readonly effect: Why['effect']; readonly code: Why['code']; readonly says?: readonly RegExp[] }

const cases: readonly Case[] = [
  { url: 'http://site.test/a?token=secret', effect: 'allow', code: null, says: [/No name was looked up/] },
  { url: 'http://site.test/', method: 'POST', effect: 'deny', code: 'policy_denied', says: [/--allow site\.test:80:POST/, /instead: GET http:\/\/site\.test\/, HEAD http:\/\/site\.test\/\./] },
  { url: 'http://api.test/v1/x', effect: 'deny', code: 'policy_denied', says: [/instead: POST http:\/\/api\.test\/v1\/x\./] },
  { url: 'http://api.test/v2', method: 'POST', effect: 'deny', code: 'policy_denied', says: [/instead: POST http:\/\/api\.test\/v1\./] },
  { url: 'http://a.wide.test/shut', effect: 'deny', code: 'policy_denied', says: [/instead: GET http:\/\/a\.wide\.test\/open\./] },
  { url: 'http://other.test/', effect: 'deny', code: 'policy_denied', says: [/Nothing else is allowed.*going around the proxy will not work/] },
  { url: 'https://tunnel.test/', effect: 'allow', code: null },
  { url: 'http://tunnel.test/', effect: 'deny', code: 'policy_denied', says: [/instead: a tunnel to tunnel\.test:443\./] },
  { url: 'https://half.test/', effect: 'deny', code: 'needs_interception', says: [/--intercept.*--allow half\.test:443:TUNNEL/] },
  { url: 'https://site.test/', effect: 'deny', code: 'policy_denied', says: [/--allow site\.test:443:TUNNEL/, /instead: GET http:\/\/site\.test\//] },
  { url: 'http://half.test:8080/', method: 'CONNECT', effect: 'allow', code: null, says: [/judged request by request/] },
  { url: 'https://half.test:8080/', effect: 'deny', code: 'needs_interception', says: [/--intercept.*--allow half\.test:8080:TUNNEL/] },
  { url: 'http://10.1.2.3/', effect: 'deny', code: 'core.non_public_address', says: [/--allow-address 10\.1\.2\.3/] },
  { url: 'http://169.254.169.254/', effect: 'deny', code: 'core.metadata_address', says: [/Nothing can allow this/] },
  { url: 'http://sallyport.internal:3129/', effect: 'deny', code: 'core.self_address' },
  { url: 'http://sallyport.internal/chat/run', effect: 'allow', code: null, says: [/API of your own run/] },
];

test.serial('the answer is what the proxy would do, with what may be asked for and what is allowed instead', async (t) => {
  for (const { url, method, effect, code, says = [] } of cases) {
    const answer = await why(url, method);
    t.like(answer, { effect, code, run_state: 'Active' }, `${method} ${url}: ${JSON.stringify(answer)}`);
    for (const pattern of says) t.regex(answer.next_steps.join('\n'), pattern, url);
    t.false(JSON.stringify(answer).includes('secret'), 'a value of the query is repeated');
  }
  t.like(await why('http://SITE.test'), { url: 'http://site.test/', method: 'GET', act: 'request', revision: (await policy.current()).revision });
  t.deepEqual((await why('http://site.test/')).reasons, [{ effect: 'allow', rule: 'run.allow', message: 'allowed by the run\'s own entry a' }]);
  t.like((await why('http://site.test/', 'GET', run_id, false)).reasons[0], { pack: 'run', visible_to_agent: true });
});

const lookedInto: readonly Case[] = [
  { url: 'https://half.test/a', effect: 'allow', code: null },
  { url: 'https://half.test/a', method: 'POST', effect: 'deny', code: 'policy_denied', says: [/--allow half\.test:443:POST/, /instead: GET https:\/\/half\.test\/a\./] },
  { url: 'https://site.test/a', effect: 'deny', code: 'policy_denied', says: [/--allow site\.test:443:GET/, /instead: GET http:\/\/site\.test\/a, HEAD http/] },
  { url: 'https://deep.test/private', effect: 'deny', code: 'policy_denied', says: [/instead: GET https:\/\/deep\.test\/docs\./] },
  { url: 'https://tunnel.test/a', method: 'DELETE', effect: 'allow', code: null, says: [/opaque tunnel/] },
  { url: 'https://half.test/', method: 'CONNECT', effect: 'allow', code: null, says: [/Each request inside/] },
  { url: 'https://169.254.169.254/', effect: 'deny', code: 'core.metadata_address' },
];

test.serial('where TLS is looked into, the request in it is what the answer is about', async (t) => {
  const { run_id: intercepted } = await newRun(services, { policy: runPolicySchema.parse({ allow, intercept: true }) });
  for (const { url, method, effect, code, says = [] } of lookedInto) {
    const answer = await why(url, method, intercepted);
    t.like(answer, { effect, code }, `${method} ${url}: ${JSON.stringify(answer)}`);
    for (const pattern of says) t.regex(answer.next_steps.join('\n'), pattern, url);
  }
  t.like(await why('https://HALF.test/a', 'GET', intercepted), { act: 'request', url: 'https://half.test/a' });
});

test.serial('a budget that is used up, a run that is over and one that is only observed are told', async (t) => {
  const { run_id: broke } = await newRun(services, { budget: { requests: 0 }, policy: runPolicySchema.parse({ allow }) });
  t.regex((await why('http://site.test/', 'GET', broke)).next_steps[0] ?? '', /Used up: requests/);
  await transitionRun(services, broke, { kind: 'operator', id: 'local', local: true }, { to: 'Cancelled', reason: 'enough' });
  t.like(await why('http://site.test/', 'GET', broke), { run_state: 'Cancelled', next_steps: { 0: 'The run is Cancelled (enough): nothing is sent unless it is Active.' } });
  const { run_id: observed } = await newRun(services, { policy: runPolicySchema.parse({ mode: 'observe' }) });
  t.regex((await why('http://site.test/', 'GET', observed)).next_steps.join('\n'), /only observed/);
  t.notRegex((await why('http://10.0.0.1/', 'GET', observed)).next_steps.join('\n'), /only observed/);
});

test.serial('one instance is opened for a revision, and another for the next', async (t) => {
  const engine = await policy.current();
  t.is(await policy.current(), engine);
  t.deepEqual(new Set(await Promise.all([1, 2, 3].map(() => policy.current()))).size, 1);
});

test('what cannot be read is told with its field, and without the query', (t) => {
  const table: readonly [url: string, method: string, path: string, says: RegExp][] = [
    ['site.test', 'GET', 'url', /http:\/\/HOST/], ['ftp://site.test/', 'GET', 'url', /http:\/\/HOST/], ['http://user@site.test/', 'GET', 'url', /user information/],
    ['http://site.test:0/', 'GET', 'url', /port/], ['http://site.test/a/../b?key=secret', 'GET', 'url', /dot segment.*send \/b\?\.\.\. instead/], ['http://site.test/%zz', 'GET', 'url', /percent/],
    ['http://si te.test/', 'GET', 'url', /space/], ['http://site.test/', 'get', 'method', /capitals/], ['http://site.test/', 'A B', 'method', /capitals/], ['http:///x', 'GET', 'url', /empty/],
    ['http://site.test/#x', 'GET', 'url', /http:\/\/HOST/],
  ];
  for (const [url, method, path, says] of table) {
    const error = t.throws(() => readQuestion(url, method), { code: 'invalid_request' }, url) as unknown as { extras: { errors: { path: string; message: string }[] } };
    t.is(error.extras.errors[0]?.path, path, url);
    t.regex(error.extras.errors[0]?.message ?? '', says, url);
    t.false(JSON.stringify(error.extras).includes('secret'), url);
  }
});
