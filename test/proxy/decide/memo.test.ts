import test from 'ava';
import * as fc from 'fast-check';
import { fileURLToPath } from 'node:url';
import { SallyportError } from '../../../contracts/errors.ts';
import type { RunSnapshot } from '../../../contracts/data-plane.ts';
import { buildPolicyInput, type PolicyInput } from '../../../contracts/policy-input.ts';
import { runPolicySchema } from '../../../contracts/run-policy.ts';
import { openEngine, type Engine } from '../../../engine/engine.ts';
import { loadBundle } from '../../../engine/load-bundle.ts';
import { DecisionMemo } from '../../../proxy/decide/memo.ts';
import { isNamedByKey, type Question } from '../../../proxy/decide/question.ts';

const engine = await openEngine(await loadBundle(fileURLToPath(new URL('../../../policies', import.meta.url))));

const snapshot = {} as RunSnapshot;

/** Named as judge.ts names it: by all that this input is made of but the time. */
function question(host: string, method: string, path: string, port: number, now_ms: number, of: RunSnapshot = snapshot, allowed: string = 'site.test'): Question {
  return { snapshot: of, key: `${host} ${port} ${method} ${path}`, input: () => input(host, method, path, port, now_ms, allowed) };
}

function input(host: string, method: string, path: string, port: number, now_ms: number, allowed: string): PolicyInput {
  return buildPolicyInput({
    act: 'request', now_ms,
    run: {
      id: 'run_1', session_id: 'ses_1', agent: 'agent', state: 'Active', labels: {}, taint: null,
      policy: runPolicySchema.parse({ allow: [{ id: 'a', host: allowed, ports: [80], methods: ['GET'], path_prefix: '/api' }] }),
    },
    destination: { host, port, is_ip_literal: false, scheme: 'http' },
    request: { method, path },
  });
}

const some = fc.record({
  host: fc.constantFrom('site.test', 'other.test', 'a.site.test'), method: fc.constantFrom('GET', 'POST'), path: fc.constantFrom('/', '/api', '/api/x', '/apix'),
  port: fc.constantFrom(80, 81), now: fc.integer({ min: 0, max: 2_000_000_000_000 }),
});

test('with the memo and without it the decisions are the same, for two runs that ask the same', (t) => {
  const runs = [[{}, 'site.test'], [{}, 'other.test']] as [RunSnapshot, string][];
  const memo = new DecisionMemo(engine, () => t.fail('a mismatch'));
  fc.assert(fc.property(some, ({ host, method, path, port, now }) => {
    for (const [of, allowed] of runs) {
      const one = question(host, method, path, port, now, of, allowed);
      t.deepEqual(memo.decide(one).decision, engine.decide(one.input()));
    }
  }), { numRuns: 300 });
});

function counting(answers: (call: number) => unknown): { engine: Engine; calls: () => number } {
  let calls = 0;
  return {
    calls: () => calls,
    engine: { bundle: engine.bundle, decide: () => answers(++calls) } as unknown as Engine,
  };
}

test('a decision does not depend on what policy does not read, so time passing costs nothing', (t) => {
  const fake = counting(() => ({ effect: 'deny' }));
  const memo = new DecisionMemo(fake.engine, () => t.fail());
  const first = memo.decide(question('site.test', 'GET', '/', 80, 1));
  t.is(memo.decide(question('site.test', 'GET', '/', 80, 2)), first);
  t.regex(first.input_digest, /^[0-9a-f]{64}$/);
  t.is(fake.calls(), 1);
  t.not(memo.decide(question('site.test', 'POST', '/', 80, 2)).input_digest, first.input_digest);
  t.is(fake.calls(), 2);
});

test('one hit in a hundred is looked at again; a mismatch switches the memo off and is told', (t) => {
  const fake = counting((call) => ({ effect: call === 1 ? 'allow' : 'deny' }));
  let told = 0;
  const memo = new DecisionMemo(fake.engine, () => { told++; });
  const one = question('site.test', 'GET', '/', 80, 1);
  for (let index = 0; index < 100; index++) t.is(memo.decide(one).decision.effect, 'allow');
  t.is(memo.decide(one).decision.effect, 'deny');
  t.is(told, 1);
  const calls = fake.calls();
  memo.decide(one);
  memo.decide(one);
  t.is(fake.calls(), calls + 2);
});

test('a poisoned engine is not remembered: each request is refused, and the next one is tried again', (t) => {
  let failing = true;
  const fake = counting(() => {
    if (failing) throw new SallyportError('engine_error', 'memory access out of bounds');
    return { effect: 'deny' };
  });
  const memo = new DecisionMemo(fake.engine, () => t.fail());
  const one = question('site.test', 'GET', '/', 80, 1);
  for (let index = 0; index < 3; index++) t.throws(() => memo.decide(one), { instanceOf: SallyportError });
  failing = false;
  t.is(memo.decide(one).decision.effect, 'deny');
});

test('the memo is bounded', (t) => {
  const fake = counting(() => ({ effect: 'deny' }));
  const memo = new DecisionMemo(fake.engine, () => t.fail());
  for (let index = 0; index < 5000; index++) memo.decide(question(`h${index}.test`, 'GET', '/', 80, 1));
  memo.decide(question('h4999.test', 'GET', '/', 80, 1));
  t.is(fake.calls(), 5000);
  memo.decide(question('h0.test', 'GET', '/', 80, 1));
  t.is(fake.calls(), 5001, 'the oldest one had to go');
});

test('a question is named by its key only where policy reads nothing else', (t) => {
  t.true(isNamedByKey(engine.bundle.manifest.input_paths));
  for (const path of [[], ['time'], ['time', 'hour_utc'], ['request'], ['request', 'headers', 'user-agent'], ['request', 'query_keys'], ['request', 'body_bytes'], ['something_new']]) {
    t.false(isNamedByKey([['act'], path]), path.join('.'));
  }
});

test('a policy that reads the time is asked with its input, however often the key was seen', (t) => {
  const fake = counting(() => ({ effect: 'deny' }));
  const { manifest } = fake.engine.bundle;
  const reading = { ...fake.engine, bundle: { ...fake.engine.bundle, manifest: { ...manifest, input_paths: [...manifest.input_paths, ['time']] } } } as Engine;
  const memo = new DecisionMemo(reading, () => t.fail());
  for (const now of [1, 2, 2]) memo.decide(question('site.test', 'GET', '/', 80, now));
  t.is(fake.calls(), 2);
});

test('runs are told apart, whatever they ask', (t) => {
  const fake = counting((call) => ({ effect: call }));
  const memo = new DecisionMemo(fake.engine, () => t.fail());
  const answers = ['site.test', 'other.test'].map((allowed) => memo.decide(question('site.test', 'GET', '/', 80, 1, {} as RunSnapshot, allowed)).decision.effect);
  t.not(answers[0], answers[1]);
});
