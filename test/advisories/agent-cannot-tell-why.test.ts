/**
 * Agents that got an empty 403, or a closed socket, and tried mirrors, other ports and DNS to get around it.
 *
 * Here each refusal says what stood in the way, by which rule, what may be asked for, and under which id it is recorded; in JSON, or
 * in plain text for who takes no JSON; and the record tells the same.
 */
import test from 'ava';
import { allowedRun, fileScene, type Scene } from '../helpers/scene.ts';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { ask, type RequestOptions } from '../helpers/proxy-worker.ts';

const scene = fileScene({ names: { 'inside.test': ['10.1.2.3'], 'metadata.test': ['169.254.169.254'] } });

interface Case {
  readonly code: string;
  readonly target: (scene: Scene) => string;
  readonly options?: RequestOptions;
  readonly run?: (scene: Scene) => Promise<FakeRun>;
  /** What the words must name. */
  readonly names?: RegExp;
}
const may = (host: string, port: number, limits = {}) => (on: Scene): Promise<FakeRun> => allowedRun(on, { allow: [{ host, ports: [port], methods: ['*'] }], limits });
const cases: readonly Case[] = [
  { code: 'policy_denied', target: () => 'http://forbidden.test/', names: /forbidden\.test/ },
  { code: 'policy_denied', target: () => 'forbidden.test:443', options: { method: 'CONNECT' }, names: /forbidden\.test/ },
  { code: 'needs_interception', target: () => 'site.test:443', options: { method: 'CONNECT' }, run: may('site.test', 443), names: /TUNNEL/ },
  { code: 'core.non_public_address', target: () => 'http://inside.test/', run: may('inside.test', 80), names: /--allow-address|not public/ },
  { code: 'core.metadata_address', target: () => 'http://metadata.test/', run: may('metadata.test', 80), names: /metadata|credentials/ },
  { code: 'core.host_mismatch', target: ({ site }) => `http://site.test:${site.port}/`, options: { host: 'forbidden.test' }, names: /host/i },
  { code: 'budget_exhausted', target: ({ site }) => `http://site.test:${site.port}/`, run: (on) => allowedRun(on, { limits: { requests: 0 } }), names: /requests/ },
  { code: 'path_not_canonical', target: ({ site }) => `http://site.test:${site.port}/a/../b`, names: /\/b/ },
  { code: 'ambiguous_target', target: () => 'http://a..b/', names: /a\.\.b/ },
  { code: 'upstream_dns', target: () => 'http://missing.test/', run: may('missing.test', 80), names: /missing\.test/ },
  { code: 'upstream_refused', target: () => 'http://site.test:1/', run: may('site.test', 1), names: /site\.test:1/ },
];

for (const { code, target, options, run: make, names } of cases) {
  test(`${code} is explained: ${options?.method ?? 'GET'}, ${JSON.stringify(options?.host ?? '')}`, async (t) => {
    const { proxy } = scene();
    const run = await (make ?? allowedRun)(scene());
    const place = target(scene());
    const answer = await ask(proxy, place, { ...options, authorization: run.authorization });
    t.is(answer.code, code, answer.body);
    t.regex(answer.head, /content-type: application\/problem\+json/i);
    const problem = JSON.parse(answer.body) as { title: string; detail: string; egress_id: string; next_steps: string[]; status: number };
    t.true(problem.title.length > 5 && problem.detail.length > 10);
    t.true(problem.next_steps.length > 0 && problem.next_steps.every((step) => step.length > 5));
    t.is(problem.status, answer.status);
    if (names !== undefined) t.regex(answer.body, names);

    const words = await ask(proxy, place, { ...options, authorization: run.authorization, fields: ['Accept: text/html'] });
    t.regex(words.head, /content-type: text\/plain/i);
    t.true(words.body.includes(code), words.body);
    t.true(problem.next_steps.every((step) => words.body.includes(step)), words.body);

    const recorded = (): readonly { facts: Readonly<Record<string, unknown>>; payload: unknown }[] => proxy.control.of(run).filter(({ facts }) => facts['egress_id'] === problem.egress_id && facts['code'] !== undefined);
    await proxy.control.ingested('its record, by the id that was told', () => recorded().length === 1);
    t.is(recorded()[0]?.facts['code'], code);
  });
}

test('without credentials too: how to bring them, and the connection stays', async (t) => {
  const answer = await ask(scene().proxy, 'http://site.test/');
  t.is(answer.status, 407);
  t.regex(answer.head, /proxy-authenticate: Basic realm="sallyport"/i);
  t.notRegex(answer.head, /connection: close/i);
  t.true((answer.problem.next_steps ?? []).length > 0);
});
