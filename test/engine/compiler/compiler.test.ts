import test from 'ava';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SallyportError } from '../../../contracts/errors.ts';
import { openCompiler, type Compiler } from '../../../engine/compiler/compiler.ts';
import type { Sources } from '../../../engine/compiler/protocol.ts';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { compilerModule, policiesFolder, testCompiler } from '../../helpers/policies.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const lifetime = fileLifetime();
let compiler: Compiler;
test.before(async () => {
  compiler = await testCompiler(lifetime);
});

const capabilities = readFileSync(join(policiesFolder, 'capabilities.json'), 'utf8');
const inputSchema = readFileSync(join(policiesFolder, 'schemas/input.json'), 'utf8');
const sources = (files: Readonly<Record<string, string>>): Sources => ({ files, capabilities, inputSchema });
const one = (rego: string, file = 'packs/x/x.rego'): Sources => sources({ [file]: rego });

test.serial('the compiler says which OPA it is', async (t) => {
  t.is(await compiler.version(), '1.22.2');
});

test.serial('without its module the compiler is missing, with a code of its own', async (t) => {
  const error = await t.throwsAsync(openCompiler('/nonexistent/compiler.wasm'), { instanceOf: SallyportError });
  t.is(error!.code, 'compiler_missing');
});

const mistakes: readonly [title: string, rego: string, code: string, row: number, message: RegExp][] = [
  ['syntax', 'package sallyport.packs.x\n\nallow {', 'rego_parse_error', 3, /./],
  ['a key that the input does not have', 'package sallyport.packs.x\n\nallow if input.request.mehtod == "GET"', 'rego_type_error', 3, /mehtod/],
  ['a builtin that reads the clock', 'package sallyport.packs.x\n\nallow if time.now_ns() > 1', 'rego_type_error', 3, /time\.now_ns/],
  ['a builtin that opens the network', 'package sallyport.packs.x\n\nallow if http.send({"url": "x"})', 'rego_type_error', 3, /http\.send/],
  ['a builtin that draws', 'package sallyport.packs.x\n\nallow if rand.intn("a", 3) == 1', 'rego_type_error', 3, /rand\.intn/],
  ['a builtin that the WASM does not have', 'package sallyport.packs.x\n\nallow if sprintf("%d", [1]) == "1"', 'rego_type_error', 3, /sprintf/],
  ['an unused variable', 'package sallyport.packs.x\n\nallow if {\n\tx := 1\n}', 'rego_compile_error', 4, /unused/],
  ['an unsafe variable', 'package sallyport.packs.x\n\nallow if x == 1', 'rego_unsafe_var_error', 3, /unsafe/],
];
for (const [title, rego, code, row, message] of mistakes) {
  test.serial(`a mistake has its place: ${title}`, async (t) => {
    const result = await compiler.check(one(rego));
    if (result.status !== 'rejected') return t.fail('it was accepted');
    t.like(result.errors[0], { file: 'packs/x/x.rego', row, code });
    t.regex(result.errors[0]!.message, message);
    t.is((await compiler.build(one(rego), 'sallyport/packs/x/allow')).status, 'rejected');
  });
}

const law: readonly [file: string, pkg: string, lawful: boolean][] = [
  ['packs/x/x.rego', 'sallyport.packs.x', true],
  ['packs/x/deep/er.rego', 'sallyport.packs.x.request', true],
  ['packs/x/x_test.rego', 'sallyport.packs.x_test', true],
  ['packs/x/r_test.rego', 'sallyport.packs.x.request_test', true],
  ['packs/x/x.rego', 'sallyport.packs.x_test', false],
  ['packs/x/x.rego', 'sallyport.packs.core', false],
  ['packs/x/x.rego', 'sallyport.packs.xx', false],
  ['packs/x/x.rego', 'sallyport.packs', false],
  ['packs/x/x.rego', 'sallyport.lib.path', false],
  ['packs/x/x.rego', 'sallyport', false],
  ['packs/x/x.rego', 'other.packs.x', false],
  ['packs/x/x_test.rego', 'sallyport.packs.core_test', false],
  ['packs/x/x_test.rego', 'sallyport.packs.core', false],
  ['packs/x.rego', 'sallyport.packs.x', false],
  ['packs/X/x.rego', 'sallyport.packs.X', false],
  ['packs/x_test/x.rego', 'sallyport.packs.x_test', false],
  ['lib/host.rego', 'sallyport.lib.host', true],
  ['lib/host.rego', 'sallyport.lib', true],
  ['lib/host.rego', 'sallyport.packs.core', false],
  ['sallyport/more.rego', 'sallyport', true],
  ['sallyport/more_test.rego', 'sallyport_test', true],
  ['sallyport/more.rego', 'sallyport.packs.core', false],
  ['sallyport/deep/more.rego', 'sallyport', false],
  ['more.rego', 'sallyport', false],
  ['other/more.rego', 'other', false],
];
for (const [file, pkg, lawful] of law) {
  test.serial(`the package law: ${pkg} in ${file} is ${lawful ? 'its own' : 'refused'}`, async (t) => {
    const result = await compiler.check(one(`package ${pkg}\n\nallow := true\n`, file));
    t.is(result.status, lawful ? 'ok' : 'rejected');
    if (result.status === 'rejected') t.like(result.errors[0], { file, row: 1, code: 'sallyport_package_law' });
  });
}

test.serial('all mistakes of several files are told at once', async (t) => {
  const result = await compiler.check(sources({ 'packs/x/a.rego': 'package sallyport.packs.x\n\nallow {', 'packs/x/b.rego': 'package sallyport.packs.core\n' }));
  t.deepEqual(result.status === 'rejected' && result.errors.map(({ file }) => file), ['packs/x/a.rego', 'packs/x/b.rego']);
});

const paths: readonly [title: string, rego: string, expected: readonly (readonly string[])[]][] = [
  ['constant paths', 'allow if input.request.method == "GET"', [['request', 'method']]],
  ['through a local name', 'allow if {\n\tr := input.request\n\tr.method == "GET"\n}', [['request']]],
  ['with a variable', 'allow if {\n\tsome key in ["method", "path"]\n\tinput.request[key] == "x"\n}', [['request']]],
  ['an element of a list', 'allow if input.run.packs[0] == "x"', [['run', 'packs']]],
  ['the bare input', 'allow if count(input) > 1', [[]]],
  ['a walk', 'allow if {\n\twalk(input, [_, value])\n\tvalue == 1\n}', [[]]],
  ['a path within another', 'allow if {\n\tinput.request.method == "GET"\n\tcount(input.request) > 1\n}', [['request']]],
  ['inside a function', 'allow if f(1)\n\nf(x) if input.time.now_ms == x', [['time', 'now_ms']]],
  ['inside a comprehension', 'allow if count([1 | input.act == "dial"]) == 1', [['act']]],
];
for (const [title, rego, expected] of paths) {
  test.serial(`what the policy reads of the input: ${title}`, async (t) => {
    const built = await compiler.build(one(`package sallyport.packs.x\n\n${rego}\n`), 'sallyport/packs/x/allow');
    t.deepEqual(built.status === 'ok' ? built.input_paths : built, expected);
  });
}

test.serial('tests run with coverage, and a failing one is told from a passing one', async (t) => {
  const result = await compiler.test(sources({
    'packs/x/x.rego': 'package sallyport.packs.x\n\nallow if input.act == "dial"\n\nother if input.act == "request"\n',
    'packs/x/x_test.rego': 'package sallyport.packs.x_test\n\nimport data.sallyport.packs.x\n\ntest_right if x.allow with input as {"act": "dial"}\n\ntest_wrong if x.allow with input as {"act": "connect"}\n',
  }), {});
  if (result.status !== 'ok') return t.fail(JSON.stringify(result));
  t.deepEqual(result.tests.map(({ name, status }) => [name.split('.').at(-1), status]), [['test_right', 'passed'], ['test_wrong', 'failed']]);
  t.deepEqual(result.coverage['packs/x/x.rego']!.not_covered, [[5, 5]]);
});

test.serial('a formatted file is opa fmt\'s, and one that cannot be read is told', async (t) => {
  t.deepEqual(await compiler.format({ 'a.rego': 'package a\nx if {1==1}' }), { status: 'ok', files: { 'a.rego': 'package a\n\nx if 1 == 1\n' } });
  t.is((await compiler.format({ 'a.rego': 'package' })).status, 'rejected');
});

test.serial('calls that come together are answered in order', async (t) => {
  const versions = await Promise.all(Array.from({ length: 8 }, () => compiler.version()));
  t.deepEqual(new Set(versions), new Set(['1.22.2']));
});

test.serial('more than 16 calls at once are refused', async (t) => {
  const own = await openCompiler(compilerModule);
  t.teardown(() => own.close());
  const outcomes = await Promise.allSettled(Array.from({ length: 18 }, () => own.version()));
  t.deepEqual(outcomes.map((outcome) => outcome.status), [...Array.from({ length: 16 }, () => 'fulfilled'), 'rejected', 'rejected']);
});

test.serial('a module that is not the compiler is told, and nothing hangs', async (t) => {
  const path = join(await temporaryFolder(t), 'compiler.wasm');
  await writeFile(path, new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
  const own = await openCompiler(path);
  t.teardown(() => own.close());
  const error = await t.throwsAsync(own.version(), { instanceOf: SallyportError });
  t.is(error!.code, 'internal');
  t.regex(error!.message, /compiler failed/);
});

test.serial('a closed compiler answers no more, and what was under way is told', async (t) => {
  const own = await openCompiler(compilerModule);
  const underWay = own.version();
  underWay.catch(() => undefined);
  await own.close();
  await t.throwsAsync(underWay, { instanceOf: SallyportError });
  await t.throwsAsync(own.version(), { message: /closed/ });
});
