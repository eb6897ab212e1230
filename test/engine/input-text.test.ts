import test from 'ava';
import * as fc from 'fast-check';
import { inputBounds, inputWriter } from '../../engine/input-text.ts';
import { createInstance } from '../../engine/instance.ts';
import { loadBundle } from '../../engine/load-bundle.ts';
import { policiesFolder, policyInput } from '../helpers/policies.ts';

const given = policyInput({ grants: [{ id: 'g', rule: 'x.y', scope: 'run', expires_ms: 1 }] }, { allow: [{ id: 'a', host: 'site.example', ports: [80], methods: ['GET'] }] });

const projections: readonly [title: string, paths: readonly (readonly string[])[], expected: object][] = [
  ['everything', [[]], given],
  ['everything, whatever else is named', [['act'], []], given],
  ['a top-level value', [['act']], { act: 'request' }],
  ['values below one key', [['request', 'method'], ['request', 'path']], { request: { method: 'GET', path: '/' } }],
  ['a list whole', [['run', 'allow']], { run: { allow: given.run.allow } }],
  ['a path below a list', [['grants', 'x']], { grants: given.grants }],
  ['a whole object and a path in it', [['time'], ['time', 'now_ms']], { time: given.time }],
  ['a key that is not there', [['nothing', 'here'], ['act']], { act: 'request' }],
  ['null', [['request', 'body_sha256', 'x']], { request: { body_sha256: null } }],
];
for (const [title, paths, expected] of projections) {
  test(`what the policy reads is kept: ${title}`, (t) => {
    t.deepEqual(JSON.parse(inputWriter(paths)(given)), JSON.parse(JSON.stringify(expected)));
  });
}

test('a lone surrogate is mended in every string, and a literal backslash stays', (t) => {
  const write = inputWriter([[]]);
  const odd = { ...given, request: { ...given.request, path: '/\ud800x', query_keys: ['\udfff', 'back\\ud800slash', '\u{1f600}'] } };
  const { request } = JSON.parse(write(odd)) as typeof odd;
  t.is(request.path, '/\ufffdx');
  t.deepEqual(request.query_keys, ['\ufffd', 'back\\ud800slash', '\u{1f600}']);
});

test('an input as large as the bound is written, one byte more is not', (t) => {
  const write = inputWriter([['request', 'path']]);
  const of = (length: number): string => write({ ...given, request: { ...given.request, path: 'x'.repeat(length) } });
  const around = of(0).length;
  t.is(of(inputBounds.bytes - around).length, inputBounds.bytes);
  t.throws(() => of(inputBounds.bytes - around + 1), { message: /larger than/ });
});

test('leaving out what the policy does not read changes no decision', async (t) => {
  const bundle = await loadBundle(policiesFolder);
  const data = JSON.stringify(bundle.golden.data);
  const instance = createInstance(await WebAssembly.compile(bundle.wasm), data, bundle.manifest.entrypoint);
  const write = inputWriter(bundle.manifest.input_paths);
  const entry = fc.record({
    id: fc.constantFrom('a', 'b'), ports: fc.constantFrom([80], [443], [80, 443]), methods: fc.constantFrom(['GET'], ['*'], ['TUNNEL'], ['POST', 'PUT']),
    host: fc.constantFrom('site.example', '*.example', 'listed.example'), path_prefix: fc.constantFrom(null, '/', '/a', '/a/'),
  });
  const input = fc.record({
    act: fc.constantFrom('connect' as const, 'request' as const, 'dial' as const, 'capability' as const), host: fc.constantFrom('listed.example', 'x.listed.example', 'pinned.example', 'intranet.example', 'site.example'),
    port: fc.constantFrom(80, 443), method: fc.constantFrom('GET', 'POST', 'TUNNEL'), path: fc.constantFrom('/', '/a', '/a/b', '/ab', '/api/x'), allow: fc.array(entry, { maxLength: 3 }),
    address_class: fc.constantFrom('public', 'private', 'metadata', 'self', 'delegated'), ranges: fc.constantFrom([], ['10.0.0.0/8']), mismatch: fc.boolean(), now: fc.nat(), packs: fc.constantFrom([], ['run'], ['gone']),
    rule: fc.constantFrom('run.allow', 'core.default_deny', 'core.non_public_address'),
  });
  const effects = new Set<string>();
  fc.assert(fc.property(input, (drawn) => {
    const built = policyInput({
      act: drawn.act, destination: { host: drawn.host, is_ip_literal: false, port: drawn.port, ...(drawn.act === 'dial' && { address: '10.20.1.2', address_class: drawn.address_class }) },
      request: { method: drawn.method, path: drawn.path }, signals: { host_mismatch: drawn.mismatch }, now_ms: drawn.now, grants: [{ id: 'g', rule: drawn.rule, scope: 'run', expires_ms: 1 }],
    }, { packs: drawn.packs, allow_addresses: drawn.ranges });
    const whole = { ...built, run: { ...built.run, allow: drawn.allow } };
    const decision = instance.evaluate(write(whole));
    effects.add((decision as { effect: string }).effect);
    t.deepEqual(decision, instance.evaluate(JSON.stringify(whole)));
  }), { numRuns: 1000 });
  t.deepEqual([...effects].sort(), ['allow', 'deny']);
});
