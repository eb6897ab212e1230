import test from 'ava';
import { SallyportError } from '../../contracts/errors.ts';
import { bundleFromBytes, packBundle, revisionOf, type Bundle } from '../../engine/bundle.ts';
import { openEngine } from '../../engine/engine.ts';
import { loadBundle } from '../../engine/load-bundle.ts';
import { policiesFolder, policyInput } from '../helpers/policies.ts';

let bundle: Bundle;
test.before(async () => {
  bundle = await loadBundle(policiesFolder);
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('a packed bundle comes back as it was, and decides', async (t) => {
  const again = bundleFromBytes(bytes(packBundle(bundle)));
  t.deepEqual(again, bundle);
  t.is((await openEngine(again)).decide(policyInput()).effect, 'deny');
});

test('the revision is a function of everything that decides', (t) => {
  const { manifest, wasm, data, revision } = bundle;
  t.is(revisionOf(manifest, wasm, data), revision);
  const others = [
    revisionOf(manifest, wasm, `${data} `),
    revisionOf(manifest, wasm.slice(1), data),
    revisionOf({ ...manifest, compiler: 'opa 1.22.3' }, wasm, data),
    revisionOf({ ...manifest, capabilities_sha256: '0'.repeat(64) }, wasm, data),
    revisionOf({ ...manifest, entrypoint: 'sallyport/other' }, wasm, data),
    revisionOf({ ...manifest, input_paths: manifest.input_paths.slice(1) }, wasm, data),
  ];
  t.is(new Set([...others, revision]).size, others.length + 1);
});

type Packed = Record<string, unknown> & { manifest: Record<string, unknown>; golden: Record<string, unknown> };
const tampered: readonly [title: string, change: (packed: Packed) => unknown, message: RegExp][] = [
  ['other data', (packed) => ({ ...packed, data: '{"packs":{}}' }), /claims revision/],
  ['another module', (packed) => ({ ...packed, wasm: 'AAAA' }), /claims revision/],
  ['fewer paths of the input', (packed) => ({ ...packed, manifest: { ...packed.manifest, input_paths: [['act']] } }), /claims revision/],
  ['another claim', (packed) => ({ ...packed, revision: '0'.repeat(64) }), /claims revision/],
  ['an unknown key', (packed) => ({ ...packed, note: 1 }), /cannot be used/],
  ['no golden cases', (packed) => ({ ...packed, golden: { ...packed.golden, cases: [] } }), /cannot be used/],
  ['a builtin of the host', (packed) => ({ ...packed, manifest: { ...packed.manifest, builtins: ['http.send'] } }), /cannot be used/],
  ['bytes that are no base64', (packed) => ({ ...packed, wasm: '!' }), /cannot be used/],
  ['another version', (packed) => ({ ...packed, v: 2 }), /cannot be used/],
  ['a list', () => [], /cannot be used/],
];
for (const [title, change, message] of tampered) {
  test(`refused: a bundle with ${title}`, (t) => {
    const changed = JSON.stringify(change(JSON.parse(packBundle(bundle)) as Packed));
    const error = t.throws(() => bundleFromBytes(bytes(changed)), { instanceOf: SallyportError, message });
    t.is(error.code, 'policy_folder');
  });
}

test('refused: bytes that are not JSON, or not UTF-8', (t) => {
  t.throws(() => bundleFromBytes(bytes('{')), { instanceOf: SallyportError, message: /not JSON/ });
  t.throws(() => bundleFromBytes(new Uint8Array([0x22, 0xff, 0x22])), { instanceOf: SallyportError, message: /not JSON/ });
});
