import test from 'ava';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';
import type { Compiler } from '../../engine/compiler/compiler.ts';
import { openEngine } from '../../engine/engine.ts';
import { loadBundle } from '../../engine/load-bundle.ts';
import { formatPolicies, testPolicies } from '../../engine/policy-test.ts';
import { buildPolicies, checkPolicies } from '../../engine/policy-tool.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { policiesFolder, policiesWith, policyInput, testCompiler } from '../helpers/policies.ts';

const lifetime = fileLifetime();
let compiler: Compiler;
test.before(async () => {
  compiler = await testCompiler(lifetime);
});

const files = (folder: string, ...names: readonly string[]): Promise<readonly string[]> => Promise.all(names.map((name) => readFile(join(folder, name), 'latin1')));
const built = ['bundle/policy.wasm', 'bundle/manifest.json', 'sallyport/packs.rego'] as const;

test.serial('the committed bundle is what the sources compile to, byte for byte', async (t) => {
  const folder = await policiesWith(t, { 'bundle/policy.wasm': '', 'bundle/manifest.json': '' });
  const result = await buildPolicies(folder, compiler);
  t.is(result.status, 'ok');
  t.deepEqual(await files(folder, ...built), await files(policiesFolder, ...built));
  const again = await buildPolicies(folder, compiler);
  t.like(again, { status: 'ok', changed: false });
});

test.serial('the project\'s policies pass their check, their tests and their form', async (t) => {
  t.like(await checkPolicies(policiesFolder, compiler), { status: 'ok' });
  t.deepEqual(await formatPolicies(policiesFolder, compiler, { write: false }), { status: 'ok', changed: [] });
  const report = await testPolicies(policiesFolder, compiler);
  if (report.status !== 'ok') return t.fail(JSON.stringify(report));
  t.true(report.passed);
  t.deepEqual(report.golden.faults, []);
  t.deepEqual(report.golden.disagreements, []);
  t.true(report.golden.cases > 50);
  t.is(report.coverage_percent, 100, JSON.stringify(report.coverage));
});

const pack = (rules: object, always_on = false): string => JSON.stringify({ title: 'Of a test', always_on, rules });
const github = {
  'packs/github/github.rego': 'package sallyport.packs.github.request\n\ndeny contains {"rule": "github.no_delete", "message": "deleting is blocked"} if input.request.method == "DELETE"\n\nrequire_approval contains {"rule": "github.write", "message": "writes need a person", "scope": "host"} if input.request.method == "POST"\n',
  'packs/github/pack.json': pack({ 'github.no_delete': { effect: 'deny', title: 'x' }, 'github.write': { effect: 'require_approval', title: 'y' } }),
};

test.serial('a new pack is built in, applies to the runs that list it, and to no other', async (t) => {
  const folder = await policiesWith(t, github);
  t.like(await checkPolicies(folder, compiler), { status: 'mistakes', errors: [{ file: 'sallyport/packs.rego', code: 'sallyport_aggregator' }] });
  t.like(await buildPolicies(folder, compiler), { status: 'ok', changed: true });
  t.like(await checkPolicies(folder, compiler), { status: 'ok' });
  t.deepEqual(await formatPolicies(folder, compiler, { write: false }), { status: 'ok', changed: [] }, 'what is generated is in form');

  const engine = await openEngine(await loadBundle(folder));
  const allow = [{ id: 'a', host: 'site.example', ports: [80], methods: ['*'] }];
  const decide = (method: string, packs: readonly string[], grants: readonly string[] = []): unknown => {
    const { effect, approval } = engine.decide(policyInput({ request: { method, path: '/' }, grants: grants.map((rule) => ({ id: 'g', rule, scope: 'run', expires_ms: 1 })) }, { allow, packs }));
    return [effect, approval?.scope];
  };
  t.deepEqual(decide('DELETE', []), ['allow', undefined]);
  t.deepEqual(decide('DELETE', ['github']), ['deny', undefined]);
  t.deepEqual(decide('POST', ['github']), ['require_approval', 'host']);
  t.deepEqual(decide('POST', ['github'], ['github.write']), ['allow', undefined]);
  t.deepEqual(decide('DELETE', ['github'], ['github.no_delete', 'github.write']), ['deny', undefined], 'a grant lifts no denial');
  t.deepEqual(decide('GET', ['github', 'gone']), ['deny', undefined]);
});

const mistakes: readonly [title: string, change: Readonly<Record<string, string>>, file: string, code: string][] = [
  ['a pack that adds to core', { 'packs/x/x.rego': 'package sallyport.packs.core\n\nallow contains {"rule": "core.x"}\n', 'packs/x/pack.json': pack({}) }, 'packs/x/x.rego', 'sallyport_package_law'],
  ['a pack that adds to the library', { 'packs/x/x.rego': 'package sallyport.lib.path\n\ncovers(_, _)\n', 'packs/x/pack.json': pack({}) }, 'packs/x/x.rego', 'sallyport_package_law'],
  ['a rule id of another pack', { 'packs/x/x.rego': 'package sallyport.packs.x\n\nallow contains {"rule": "core.public_address"} if input.act == "dial"\n', 'packs/x/pack.json': pack({}) }, 'packs/x/x.rego', 'sallyport_rule_id'],
  ['a rule id that is not listed', { 'packs/x/x.rego': 'package sallyport.packs.x\n\nallow contains {"rule": "x.a"} if input.act == "dial"\n', 'packs/x/pack.json': pack({}) }, 'packs/x/x.rego', 'sallyport_rule_id'],
  ['a rule with another effect than listed', { 'packs/x/x.rego': 'package sallyport.packs.x\n\nallow contains {"rule": "x.a"} if input.act == "dial"\n', 'packs/x/pack.json': pack({ 'x.a': { effect: 'deny', title: 't' } }) }, 'packs/x/x.rego', 'sallyport_rule_id'],
  ['a listed rule that no file gives', { 'packs/x/pack.json': pack({ 'x.a': { effect: 'deny', title: 't' } }) }, 'packs/x/pack.json', 'sallyport_rule_id'],
  ['a pack name in capitals', { 'packs/X-1/pack.json': pack({}) }, 'packs/X-1', 'sallyport_package_law'],
];
for (const [title, change, file, code] of mistakes) {
  test.serial(`neither checked nor built: ${title}`, async (t) => {
    const folder = await policiesWith(t, change);
    const before = await files(folder, ...built);
    for (const result of [await checkPolicies(folder, compiler), await buildPolicies(folder, compiler), await testPolicies(folder, compiler)]) {
      if (result.status !== 'mistakes') return t.fail(JSON.stringify(result));
      t.like(result.errors[0], { file, code });
    }
    t.deepEqual(await files(folder, ...built), before, 'nothing was written');
  });
}

/** Each is a defence switched off: hand-written golden answers must see it. */
const mutations: readonly [title: string, file: string, from: string, to: string][] = [
  ['metadata addresses', 'packs/core/core.rego', 'address_class == "metadata"', 'address_class == "meta"'],
  ['own addresses', 'packs/core/core.rego', 'address_class == "self"', 'address_class == "own"'],
  ['non-public addresses', 'packs/core/core.rego', 'address_class != "public"', 'address_class == "private_"'],
  ['named ranges', 'packs/core/core.rego', 'net.cidr_contains(range, input.destination.address)', 'range != input.destination.address'],
  ['host mismatches', 'packs/core/core.rego', 'input.signals.host_mismatch\n', 'not input.signals.host_mismatch\n'],
  ['unclassified addresses', 'packs/core/core.rego', '\tnot _classified\n', '\tnot _classified\n\tinput.act == "request"\n'],
  ['ports of the run', 'packs/run/run.rego', '\tinput.destination.port in entry.ports\n\t_method', '\t_method'],
  ['methods of the run', 'packs/run/run.rego', '\t_method_is_given(entry.methods)\n', ''],
  ['paths of the run', 'packs/run/run.rego', 'path.covers(entry.path_prefix,', 'path.covers(null,'],
  ['a method named TUNNEL', 'packs/run/run.rego', '\tinput.request.method != "TUNNEL"\n', ''],
  ['unseen tunnels', 'packs/run/run.rego', '\t"TUNNEL" in entry.methods\n', ''],
  ['segment boundaries', 'lib/path.rego', 'concat("", [prefix, "/"])', 'prefix'],
  ['suffixes', 'lib/destination.rego', '\ti > 0\n', ''],
  ['deny before allow', 'sallyport/decision.rego', '"effect": "deny",\n\t"default": false', '"effect": "allow",\n\t"default": false'],
  ['looking into tunnels', 'sallyport/decision.rego', 'input.act == "connect"; not _tunnel_is_settled', 'input.act == "tunnel"; not _tunnel_is_settled'],
];
for (const [title, file, from, to] of mutations) {
  test.serial(`a policy without its rule on ${title} is not built`, async (t) => {
    const source = await readFile(join(policiesFolder, file), 'utf8');
    t.true(source.includes(from), 'the mutation no longer applies');
    const folder = await policiesWith(t, { [file]: source.replaceAll(from, to) });
    const before = await files(folder, ...built);
    const error = await t.throwsAsync(async () => {
      const result = await buildPolicies(folder, compiler);
      // Some mutations leave a name unused, which the compiler says itself: then the mutation proves nothing.
      t.is(result.status, 'ok', JSON.stringify(result));
    }, { instanceOf: SallyportError });
    t.is(error?.code, 'policy_folder');
    t.deepEqual(await files(folder, ...built), before, 'nothing was written');
  });
}

test.serial('a golden answer that the policy does not give fails the tests and is told', async (t) => {
  const folder = await policiesWith(t, { 'golden/extra.jsonl': '{"name": "wrong", "input": {}, "effect": "allow", "reasons": ["allow run.allow"]}\n' });
  const report = await testPolicies(folder, compiler);
  if (report.status !== 'ok') return t.fail(JSON.stringify(report));
  t.false(report.passed);
  t.is(report.golden.faults.length, 1);
  t.regex(report.golden.faults[0]!, /"wrong": effect is "deny", written is "allow"/);
});

test.serial('a failing Rego test fails the tests', async (t) => {
  const folder = await policiesWith(t, { 'packs/run/fail_test.rego': 'package sallyport.packs.run_test\n\ntest_it if 1 == 2\n' });
  const report = await testPolicies(folder, compiler);
  if (report.status !== 'ok') return t.fail(JSON.stringify(report));
  t.false(report.passed);
});

test.serial('a file out of form is named, and mended only when asked', async (t) => {
  const folder = await policiesWith(t, { 'packs/run/odd_test.rego': 'package sallyport.packs.run_test\ntest_it if {1==1}\n' });
  const named = { status: 'ok', changed: ['packs/run/odd_test.rego'] } as const;
  t.deepEqual(await formatPolicies(folder, compiler, { write: false }), named);
  t.deepEqual(await formatPolicies(folder, compiler, { write: true }), named);
  t.deepEqual(await formatPolicies(folder, compiler, { write: false }), { status: 'ok', changed: [] });
});
