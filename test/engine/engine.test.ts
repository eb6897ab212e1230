import test from 'ava';
import * as fc from 'fast-check';
import { decisionFault } from '../../contracts/decision.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { PolicyInput } from '../../contracts/policy-input.ts';
import type { Compiler } from '../../engine/compiler/compiler.ts';
import type { Bundle } from '../../engine/bundle.ts';
import { openEngine, type Engine } from '../../engine/engine.ts';
import { loadBundle } from '../../engine/load-bundle.ts';
import { buildPolicies } from '../../engine/policy-tool.ts';
import { fileLifetime, type Lifetime } from '../helpers/lifetime.ts';
import { policiesFolder, policiesWith, policyInput, testCompiler } from '../helpers/policies.ts';
import { until } from '../helpers/wait.ts';

const lifetime = fileLifetime();
let opened: Promise<Compiler> | undefined;
const compiler = (): Promise<Compiler> => (opened ??= testCompiler(lifetime));
const allowAll = { allow: [{ id: 'a1', host: 'site.example', ports: [80], methods: ['GET'] }] };

/** The project's policies with one more pack, `trap`, that applies to every run. Its rule ids are put together, so no catalogue lists them. */
async function bundleWithTrap(owner: Lifetime, rego: string): Promise<Bundle> {
  const folder = await policiesWith(owner, {
    'packs/trap/trap.rego': rego,
    'packs/trap/pack.json': JSON.stringify({ title: 'Traps', always_on: true, rules: {} }),
  });
  const built = await buildPolicies(folder, await compiler());
  if (built.status !== 'ok') throw new Error(JSON.stringify(built.errors));
  return built.bundle;
}

/** Aborts the evaluation: a complete rule with two values, chosen by what the agent sends. */
const conflict = `package sallyport.packs.trap

deny contains {"rule": concat(".", ["trap", "x"]), "message": _value} if input.request.method == "BOOM"

_value := "a" if startswith(input.request.path, "/")

_value := "b" if endswith(input.request.path, "/")
`;

const boom = policyInput({ request: { method: 'BOOM', path: '/' } }, allowAll);
const fine = policyInput({}, allowAll);

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return error instanceof SallyportError ? error.code : String(error);
  }
};

test('an evaluation that aborts is an engine error, and the instance is replaced', async (t) => {
  const replaced: unknown[] = [];
  const engine = await openEngine(await bundleWithTrap(t, conflict), { onReplaced: (facts) => replaced.push(facts) });
  t.is(engine.decide(fine).effect, 'allow');
  const error = t.throws(() => engine.decide(boom), { instanceOf: SallyportError });
  t.is(error.code, 'engine_error');
  t.regex(error.message, /conflict/);
  await until('the instance to be replaced', () => replaced.length === 1);
  t.like(replaced[0], { throws: 1 });
  t.like(engine.counts, { throws: 1, replaced: 1 });
  t.is(engine.decide(fine).effect, 'allow');
});

test('aborts by the thousand never wear an engine out, nor is an instance used past 32', async (t) => {
  const throwsOf: number[] = [];
  const engine = await openEngine(await bundleWithTrap(t, conflict), { now: () => 0, onReplaced: ({ throws }) => throwsOf.push(throws) });
  for (let i = 0; i < 1500; i++) {
    t.is(codeOf(() => engine.decide(boom)), 'engine_error');
    if (i % 100 === 0) t.is(engine.decide(fine).effect, 'allow');
  }
  t.true(throwsOf.length >= 1500 / 32 - 1);
  t.true(Math.max(...throwsOf) <= 32);
});

test('an instance that is not replaced does wear out, which is why it is', async (t) => {
  const { createInstance } = await import('../../engine/instance.ts');
  const bundle = await bundleWithTrap(t, conflict);
  const instance = createInstance(await WebAssembly.compile(bundle.wasm), bundle.data, bundle.manifest.entrypoint);
  for (let i = 0; i < 1500; i++) codeOf(() => instance.evaluate(JSON.stringify(boom)));
  t.throws(() => instance.evaluate(JSON.stringify(fine)), { message: /out of bounds/ });
});

const answers: readonly [title: string, rego: string][] = [
  ['a reason that is a text', 'deny contains "no" if input.request.method == "BAD"'],
  ['a reason without a rule', 'deny contains {"message": "no"} if input.request.method == "BAD"'],
  ['a reason in the name of another pack', 'allow contains {"rule": concat(".", ["core", "x"]), "message": "yes"} if input.request.method == "BAD"'],
  ['an obligation that nobody knows', 'obligation contains {"type": "pray", "rule": concat(".", ["trap", "x"]), "params": {}} if input.request.method == "BAD"'],
  ['terms that mean nothing', 'require_approval contains {"rule": concat(".", ["trap", "x"]), "scope": "galaxy"} if input.request.method == "BAD"'],
];
for (const [title, rego] of answers) {
  test(`fails closed as policy_invalid_decision: ${title}`, async (t) => {
    const engine = await openEngine(await bundleWithTrap(t, `package sallyport.packs.trap\n\n${rego}\n`));
    t.is(engine.decide(fine).effect, 'allow');
    t.is(codeOf(() => engine.decide(policyInput({ request: { method: 'BAD', path: '/' } }, { allow: [{ ...allowAll.allow[0], methods: ['*'] }] }))), 'policy_invalid_decision');
    t.is(engine.counts.throws, 0);
  });
}

let engine: Engine;
test.before(async () => {
  engine = await openEngine(await loadBundle(policiesFolder));
});

test('a lone surrogate from the agent does not reach the evaluator', (t) => {
  const lone = '\ud800';
  // Past the builder, which mends it as well.
  const input: PolicyInput = { ...fine, request: { ...fine.request, path: `/${lone}`, method: lone }, destination: { ...fine.destination, host: lone } };
  for (let i = 0; i < 1100; i++) t.is(engine.decide(input).effect, 'deny');
  t.is(engine.counts.throws, 0);
});

test('an input that is larger than 64 KiB is not evaluated', (t) => {
  const input = { ...fine, request: { ...fine.request, path: `/${'x'.repeat(65_536)}` } };
  t.is(codeOf(() => engine.decide(input)), 'engine_error');
  const wide = { ...fine, request: { ...fine.request, path: `/${'\u20ac'.repeat(25_000)}` } };
  t.is(codeOf(() => engine.decide(wide)), 'engine_error', 'bytes are counted, not characters');
  t.is(engine.counts.throws, 0);
});

test('parameters that are nested too deep are not evaluated', (t) => {
  let nested: Readonly<Record<string, never>> = {};
  for (let i = 0; i < 20; i++) nested = { x: nested as never };
  t.is(codeOf(() => engine.decide({ ...fine, run: { ...fine.run, params: { p: nested } } })), 'engine_error');
  t.is(engine.counts.throws, 0);
});

test('whatever an agent can choose, the answer is a decision and nothing throws', (t) => {
  const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ maxLength: 60 }).map((text) => `\u0000${text}\udc00`));
  const before = engine.counts;
  fc.assert(fc.property(anyText, anyText, anyText, fc.integer({ min: 1, max: 65_535 }), fc.constantFrom('connect', 'request', 'dial'), (method, path, host, port, act) => {
    const built = policyInput({ act: act as 'connect', request: { method, path: `/${path}` }, destination: { host, is_ip_literal: false, port } }, allowAll);
    return decisionFault(engine.decide(built)) === undefined;
  }), { numRuns: 2000 });
  t.is(engine.counts.throws, before.throws);
  t.is(engine.counts.replaced, before.replaced);
});

test('what the policy does not read is not sent to it, and changes nothing', (t) => {
  const given = policyInput({}, allowAll);
  const other = { ...given, time: { now_ms: 1, hour_utc: 1, weekday: 1 }, budget: { requests: { limit: 1, used: 1, reserved: 0, remaining: 0 } } };
  t.deepEqual(engine.decide(other), engine.decide(given));
});

test('evaluations by the ten thousand throw nothing and need no other instance', async (t) => {
  const own = await openEngine(await loadBundle(policiesFolder));
  const inputs = [fine, boom, policyInput({ act: 'connect' }, allowAll), policyInput({ request: { method: 'GET', path: `/${'x'.repeat(8000)}` } }, allowAll)];
  for (let i = 0; i < 30_000; i++) own.decide(inputs[i % inputs.length]!);
  t.like(own.counts, { evaluations: 30_000, throws: 0, replaced: 0, invalid: 0 });
});

test('a bundle whose golden answers differ is never opened', async (t) => {
  const bundle = await loadBundle(policiesFolder);
  const cases = bundle.golden.cases.map((golden, i) => (i === 3 ? { ...golden, effect: 'deny' as const } : golden));
  const error = await t.throwsAsync(openEngine({ ...bundle, golden: { ...bundle.golden, cases } }), { instanceOf: SallyportError });
  t.is(error!.code, 'policy_folder');
  t.regex(error!.message, /golden.*dialled/);
});

test('everyday changes to the data change no golden answer', async (t) => {
  const bundle = await loadBundle(policiesFolder);
  const data = JSON.stringify({ packs: { default: { hosts: { '*.example': 'all' }, profiles: { all: { ports: [80, 443], methods: ['*'], path_prefixes: ['/'], passthrough: false, addresses: [] } } } } });
  const own = await openEngine({ ...bundle, data });
  t.is(own.decide(policyInput()).effect, 'allow');
  t.is(engine.decide(policyInput()).effect, 'deny');
});

for (const data of ['{', '', '{"packs": "\\ud800"}', 'undefined']) {
  test(`not opened: data that the WASM cannot read (${JSON.stringify(data)})`, async (t) => {
    const error = await t.throwsAsync(openEngine({ ...(await loadBundle(policiesFolder)), data }), { instanceOf: SallyportError });
    t.is(error!.code, 'policy_folder');
  });
}

const broken: readonly [title: string, wasm: (wasm: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>][] = [
  ['bytes that are no module', () => new Uint8Array([1, 2, 3])],
  ['a module that is not a policy', () => new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])],
  ['a truncated module', (wasm) => wasm.slice(0, wasm.length - 100)],
];
for (const [title, change] of broken) {
  test(`not opened: ${title}`, async (t) => {
    const bundle = await loadBundle(policiesFolder);
    const error = await t.throwsAsync(openEngine({ ...bundle, wasm: change(bundle.wasm) }), { instanceOf: SallyportError });
    t.is(error!.code, 'policy_folder');
  });
}

test('a policy that calls what the host would have to give is not opened', async (t) => {
  const folder = await policiesWith(t, { 'sallyport/decision.rego': 'package sallyport\n\ndecision := time.now_ns()\n' });
  const { readPolicyFolder } = await import('../../engine/policy-folder.ts');
  const { sources } = await readPolicyFolder(folder);
  const capabilities = JSON.parse(sources.capabilities) as { builtins: object[] };
  capabilities.builtins.push({ name: 'time.now_ns', decl: { type: 'function', args: [], result: { type: 'number' } }, nondeterministic: true });
  const built = await (await compiler()).build({ ...sources, files: { 'sallyport/decision.rego': sources.files['sallyport/decision.rego']! }, capabilities: JSON.stringify(capabilities) }, 'sallyport/decision');
  if (built.status !== 'ok') return t.fail(JSON.stringify(built.errors));
  const bundle = await loadBundle(policiesFolder);
  const error = await t.throwsAsync(openEngine({ ...bundle, wasm: built.wasm }), { instanceOf: SallyportError });
  t.regex(error!.message, /calls time\.now_ns, which this engine does not have/);
});
