import test from 'ava';
import { readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';
import { loadBundle } from '../../engine/load-bundle.ts';
import { policiesFolder, policiesWith } from '../helpers/policies.ts';

const everyday = (hosts: object, profiles: object = { read: { ports: [80], methods: ['GET'], path_prefixes: ['/'], passthrough: false, addresses: [] } }): string =>
  JSON.stringify({ hosts, profiles });

test('data may be changed without a build, and gives another revision', async (t) => {
  const before = await loadBundle(policiesFolder);
  const after = await loadBundle(await policiesWith(t, { 'packs/default/data.json': everyday({ 'site.example': 'read', '*.site.example': 'read' }) }));
  t.not(after.revision, before.revision);
  t.deepEqual(after.manifest, before.manifest);
});

test('tests may be changed without a build', async (t) => {
  const folder = await policiesWith(t, { 'packs/run/run_test.rego': 'package sallyport.packs.run_test\n' });
  t.is((await loadBundle(folder)).revision, (await loadBundle(policiesFolder)).revision);
});

const refused: readonly [title: string, change: Readonly<Record<string, string>>, message: RegExp][] = [
  ['a changed source', { 'packs/run/run.rego': 'package sallyport.packs.run\n' }, /sources changed since the last build: run sallyport policy build/],
  ['a new source', { 'packs/run/more.rego': 'package sallyport.packs.run\n' }, /sources changed since the last build/],
  ['changed capabilities', { 'capabilities.json': '{}' }, /sources changed since the last build/],
  ['another module', { 'bundle/policy.wasm': 'x' }, /policy\.wasm is not the one that .*manifest\.json describes/],
  ['a manifest that is none', { 'bundle/manifest.json': '{}' }, /is not a manifest/],
  ['data that is not JSON', { 'packs/default/data.json': '{' }, /packs\/default\/data\.json is not JSON/],
  ['a pack without a title', { 'packs/run/pack.json': '{"rules": {}}' }, /packs\/run\/pack\.json: .*title/],
  ['a golden case with a slip', { 'golden/core.jsonl': '\n{"name": "x", "input": {}, "efect": "deny"}\n' }, /golden\/core\.jsonl:2/],
  ['a profile that is not there', { 'packs/default/data.json': everyday({ 'site.example': 'raed' }) }, /hosts\.site\.example: must name one of the profiles read/],
  ['a profile named like a property of objects', { 'packs/default/data.json': everyday({ 'site.example': 'constructor' }) }, /hosts\.site\.example: must name one/],
  ['a host in capitals, which would never match', { 'packs/default/data.json': everyday({ 'Site.example': 'read' }) }, /hosts\.Site\.example: must be a host in its canonical form/],
  ['a star in the middle', { 'packs/default/data.json': everyday({ 'a.*.example': 'read' }) }, /must be a host in its canonical form/],
  ['a misspelt key', { 'packs/default/data.json': JSON.stringify({ host: {}, profiles: {} }) }, /packs\/default\/data\.json/],
  ['a profile without methods', { 'packs/default/data.json': everyday({}, { read: { ports: [80] } }) }, /profiles\.read\.methods/],
  ['a range that is none', { 'packs/default/data.json': everyday({}, { read: { ports: [80], methods: ['GET'], path_prefixes: [], passthrough: false, addresses: ['10.0.0.1'] } }) }, /profiles\.read\.addresses\.0/],
  ['raw bytes in what must be looked into', { 'packs/default/data.json': everyday({}, { t: { ports: [443], methods: [], path_prefixes: [], passthrough: false, raw: true, addresses: [] } }) }, /profiles\.t: raw is a tunnel/],
  ['a tunnel with methods that nobody would check', { 'packs/default/data.json': everyday({}, { t: { ports: [443], methods: ['GET'], path_prefixes: ['/'], passthrough: true, addresses: [] } }) }, /profiles\.t: nobody looks/],
];
for (const [title, change, message] of refused) {
  test(`refused: ${title}`, async (t) => {
    const error = await t.throwsAsync(loadBundle(await policiesWith(t, change)), { instanceOf: SallyportError, message });
    t.is(error!.code, 'policy_folder');
  });
}

const missing: readonly [file: string, message: RegExp][] = [
  ['bundle/manifest.json', /never built: run sallyport policy build/],
  ['bundle/policy.wasm', /policy\.wasm cannot be read/],
  ['capabilities.json', /capabilities\.json is missing/],
  ['packs/core/pack.json', /packs\/core\/pack\.json is missing/],
  ['golden', /golden\/ is missing/],
  ['lib', /lib\/ is missing/],
];
for (const [file, message] of missing) {
  test(`refused: a folder without ${file}`, async (t) => {
    const folder = await policiesWith(t, {});
    await rm(join(folder, file), { recursive: true });
    await t.throwsAsync(loadBundle(folder), { instanceOf: SallyportError, message });
  });
}

test('refused: a folder that is not there, a source that is a link, a source that is not UTF-8', async (t) => {
  await t.throwsAsync(loadBundle('/nonexistent/policies'), { instanceOf: SallyportError, message: /does not exist/ });
  const folder = await policiesWith(t, {});
  await symlink(join(folder, 'packs/run/run.rego'), join(folder, 'packs/run/link.rego'));
  await t.throwsAsync(loadBundle(folder), { instanceOf: SallyportError, message: /link\.rego is not a plain file/ });
  const other = await policiesWith(t, {});
  await writeFile(join(other, 'packs/run/run.rego'), new Uint8Array([0xff]));
  await t.throwsAsync(loadBundle(other), { instanceOf: SallyportError, message: /run\.rego cannot be read/ });
});

test('the committed manifest describes the committed module', async (t) => {
  const bundle = await loadBundle(policiesFolder);
  t.deepEqual(bundle.manifest.packs.map((pack) => pack.name), ['core', 'default', 'run']);
  t.true(bundle.manifest.packs.every((pack) => pack.always_on));
  t.deepEqual(new Uint8Array(await readFile(join(policiesFolder, 'bundle/policy.wasm'))), bundle.wasm);
});
