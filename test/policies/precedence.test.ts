import test from 'ava';
import * as fc from 'fast-check';
import type { Effect } from '../../contracts/decision.ts';
import type { PolicyInput } from '../../contracts/policy-input.ts';
import { openEngine, type Engine } from '../../engine/engine.ts';
import { buildPolicies } from '../../engine/policy-tool.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { policiesWith, policyInput, testCompiler } from '../helpers/policies.ts';

const lifetime = fileLifetime();

/** Two packs that say what the run's parameters tell them to. */
const packs = ['one', 'two'] as const;
const sources = Object.fromEntries(packs.flatMap((name) => [
  [`packs/${name}/${name}.rego`, `package sallyport.packs.${name}

deny contains {"rule": rule, "message": "no"} if some rule in input.run.params.${name}.deny

require_approval contains {"rule": rule, "message": "ask", "ttl_seconds": 60} if some rule in input.run.params.${name}.ask

allow contains {"rule": rule, "message": "yes"} if some rule in input.run.params.${name}.allow

obligation contains {"type": "limit", "rule": rule, "params": {"rate_per_minute": 1}} if some rule in input.run.params.${name}.limit

obligation contains {"type": "passthrough", "rule": rule, "params": {}} if some rule in input.run.params.${name}.pass
`],
  [`packs/${name}/pack.json`, JSON.stringify({ title: name, rules: {} })],
]));

let engine: Engine;
test.before(async () => {
  const built = await buildPolicies(await policiesWith(lifetime, sources), await testCompiler(lifetime));
  if (built.status !== 'ok') throw new Error(JSON.stringify(built.errors));
  engine = await openEngine(built.bundle);
});

interface Said {
  readonly deny: readonly string[];
  readonly ask: readonly string[];
  readonly allow: readonly string[];
  readonly limit: readonly string[];
  readonly pass: readonly string[];
}

function inputOf(said: Readonly<Record<'one' | 'two', Said>>, listed: readonly string[], granted: readonly string[], act: 'connect' | 'request'): PolicyInput {
  return policyInput({ act, grants: granted.map((rule, i) => ({ id: `g${i}`, rule, scope: 'run', expires_ms: 1 })) }, { packs: listed, params: said });
}

const rules = (name: string): fc.Arbitrary<readonly string[]> => fc.subarray([`${name}.a`, `${name}.b`], { maxLength: 2 });
const said = (name: string): fc.Arbitrary<Said> => fc.record({
  deny: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: rules(name) }), ask: rules(name), allow: rules(name), limit: rules(name), pass: rules(name),
});
const drawn = fc.record({
  said: fc.record({ one: said('one'), two: said('two') }), listed: fc.subarray([...packs]), granted: fc.subarray(['one.a', 'one.b', 'two.a', 'two.b']),
  act: fc.constantFrom('connect' as const, 'request' as const),
});

test('deny is above require_approval is above allow is above the default, and a grant answers only questions', (t) => {
  const seen = new Map<Effect | 'default', number>();
  fc.assert(fc.property(drawn, (given) => {
    const active = packs.filter((name) => given.listed.includes(name)).map((name) => given.said[name]);
    const denied = active.some((pack) => pack.deny.length > 0);
    const asked = active.some((pack) => pack.ask.some((rule) => !given.granted.includes(rule)));
    const allowing = active.flatMap((pack) => [...pack.allow, ...pack.ask.filter((rule) => given.granted.includes(rule))]);
    const expected: Effect = denied ? 'deny' : asked ? 'require_approval' : allowing.length > 0 ? 'allow' : 'deny';

    const decision = engine.decide(inputOf(given.said, given.listed, given.granted, given.act));
    seen.set(decision.default ? 'default' : decision.effect, (seen.get(decision.default ? 'default' : decision.effect) ?? 0) + 1);
    t.is(decision.effect, expected);
    t.is(decision.default, !denied && !asked && allowing.length === 0);
    if (expected !== 'allow') return t.deepEqual(decision.obligations, []);

    const types = decision.obligations.map((obligation) => obligation.type);
    const limits = active.reduce((count, pack) => count + pack.limit.length, 0);
    const passes = given.act === 'connect' && active.some((pack) => pack.pass.some((rule) => allowing.includes(rule)));
    t.is(types.filter((type) => type === 'limit').length, limits, 'what restricts is always kept');
    t.true(decision.obligations.every(({ type, rule }) => type !== 'passthrough' || allowing.includes(rule)), 'what gives comes from a rule that allowed');
    if (given.act === 'connect') t.is(types.includes('passthrough') ? 'passthrough' : types.filter((type) => type === 'intercept').join(), passes ? 'passthrough' : 'intercept');
  }), { numRuns: 3000 });
  t.true(seen.size === 4 && [...seen.values()].every((count) => count > 100), JSON.stringify([...seen]));
});

test('taking a deny or a question away never makes a decision stronger, adding one never weaker', (t) => {
  const strength: Readonly<Record<Effect, number>> = { deny: 2, require_approval: 1, allow: 0 };
  fc.assert(fc.property(drawn, fc.constantFrom('deny' as const, 'ask' as const), (given, set) => {
    const more = { ...given.said, one: { ...given.said.one, [set]: ['one.a'] } };
    const less = { ...given.said, one: { ...given.said.one, [set]: [] } };
    const effect = (each: typeof more): Effect => engine.decide(inputOf(each, ['one', 'two'], [], given.act)).effect;
    // Without anything allowed, a question is weaker than the default deny: an approval may then be had.
    const allowed = given.said.one.allow.length + given.said.two.allow.length > 0;
    return set === 'ask' && !allowed ? true : strength[effect(more)] >= strength[effect(less)];
  }), { numRuns: 1000 });
  t.pass();
});
