import test from 'ava';
import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';
import { matchAllow, policyInputLimits, type PolicyInputParts } from '../../contracts/policy-input.ts';
import type { AllowEntry } from '../../contracts/run-policy.ts';
import { policiesFolder, policyInput } from '../helpers/policies.ts';

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
}

const typeOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value);

/** The places where `value` is not what the schema says; enough of JSON Schema for schemas/input.json. */
function faults(value: unknown, schema: Schema, path: string): readonly string[] {
  if (schema.type === undefined) return [];
  const types = [schema.type].flat();
  if (!types.includes(typeOf(value))) return [`${path} is ${typeOf(value)}`];
  if (schema.enum !== undefined && !schema.enum.includes(value)) return [`${path} is ${JSON.stringify(value)}`];
  if (Array.isArray(value)) return value.flatMap((item, i) => faults(item, schema.items ?? {}, `${path}.${i}`));
  if (typeOf(value) !== 'object') return [];
  const { properties = {}, additionalProperties } = schema;
  const object = value as Record<string, unknown>;
  const missing = Object.keys(properties).filter((key) => !Object.hasOwn(object, key)).map((key) => `${path}.${key} is missing`);
  return [...missing, ...Object.entries(object).flatMap(([key, child]) => {
    const inner = properties[key] ?? additionalProperties;
    return typeof inner === 'object' ? faults(child, inner, `${path}.${key}`) : [`${path}.${key} is unknown`];
  })];
}

const schema = JSON.parse(readFileSync(join(policiesFolder, 'schemas/input.json'), 'utf8')) as Schema;

const full: Partial<PolicyInputParts> = {
  purpose: 'http_fetch',
  step_id: 'step_1',
  destination: { host: 'a.b.site.example', is_ip_literal: false, port: 443, scheme: 'https', address: '20.30.40.50', address_class: 'public' },
  request: {
    method: 'POST', path: '/a/b', query_keys: ['q', 'q', 'page'], body_bytes: 3, body_sha256: 'ab',
    headers: [['User-Agent', 'curl'], ['Accept', 'text/html'], ['accept', '*/*'], ['Content-Type', 'text/plain'], ['Authorization', 'Basic eA=='], ['__proto__', 'x']],
  },
  tls: { sni: 'a.b.site.example', intercepted: true },
  signals: { credential: 'foreign', secret_kinds: ['key'], host_mismatch: true, first_seen_host: true },
  budget: { requests: { limit: 10, used: 1, reserved: 1, remaining: 8 } },
  grants: [{ id: 'g', rule: 'x.y', scope: 'run', expires_ms: 1 }],
};
const policy = { allow: [{ id: 'a1', host: '*.site.example', ports: [443], methods: ['*'] }], allow_addresses: ['10.0.0.0/8'], params: { x: { y: [1, { z: null }] } }, packs: ['x'] };

test('the input is what its schema says, whether much or little is known', (t) => {
  t.deepEqual(faults(policyInput(), schema, 'input'), []);
  t.deepEqual(faults(policyInput(full, policy), schema, 'input'), []);
  t.deepEqual(faults({ ...policyInput(), extra: 1, time: { now_ms: 'x' } }, schema, 'input').length, 4, 'the check itself sees faults');
});

test('the keys stand in the same order whether much or little is known', (t) => {
  const keys = (input: object): readonly string[] => Object.entries(input).flatMap(([key, value]) =>
    [key, ...(['run', 'destination', 'request', 'signals', 'time', 'tls', 'step'].includes(key) ? Object.keys(value as object) : [])]);
  t.deepEqual(keys(policyInput(full, policy)), keys(policyInput()));
});

test('only allow-listed headers reach policy, folded, without the credential', (t) => {
  const { headers, content_type } = policyInput(full).request;
  t.deepEqual(headers, { 'user-agent': 'curl', accept: 'text/html, */*' });
  t.is(content_type, 'text/plain');
});

test('query keys are listed once, and hour and weekday follow from the time', (t) => {
  t.deepEqual(policyInput(full).request.query_keys, ['q', 'page']);
  t.deepEqual(policyInput({ now_ms: Date.UTC(2026, 1, 28, 23, 59) }).time, { now_ms: Date.UTC(2026, 1, 28, 23, 59), hour_utc: 23, weekday: 6 });
});

test('hour and weekday are those of the calendar at every time', (t) => {
  fc.assert(fc.property(fc.date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true }), (date) => {
    const { hour_utc, weekday } = policyInput({ now_ms: date.getTime() }).time;
    return hour_utc === date.getUTCHours() && weekday === date.getUTCDay();
  }));
  t.pass();
});

const excesses: readonly [title: string, parts: Partial<PolicyInputParts>][] = [
  ['65 segments', { request: { method: 'GET', path: '/x'.repeat(policyInputLimits.segments + 1) } }],
  ['a long path', { request: { method: 'GET', path: `/${'x'.repeat(policyInputLimits.path)}` } }],
  ['65 query keys', { request: { method: 'GET', path: '/', query_keys: Array.from({ length: policyInputLimits.query_keys + 1 }, (_, i) => `k${i}`) } }],
  ['a long query key', { request: { method: 'GET', path: '/', query_keys: ['k'.repeat(policyInputLimits.query_key + 1)] } }],
  ['65 grants', { grants: Array.from({ length: policyInputLimits.grants + 1 }, (_, i) => ({ id: `g${i}`, rule: 'x.y', scope: 'run' as const, expires_ms: 1 })) }],
];
for (const [title, parts] of excesses) {
  test(`what policy could see only in part is refused: ${title}`, (t) => {
    const error = t.throws(() => policyInput(parts), { instanceOf: SallyportError });
    t.is(error.code, 'not_supported');
  });
}

test('every string is well-formed, whatever the agent sent', (t) => {
  const lone = 'a\ud800b';
  const input = policyInput({
    request: { method: 'GET', path: `/${lone}`, query_keys: [lone], headers: [['user-agent', lone], ['content-type', lone]] }, tls: { sni: lone, intercepted: false },
  });
  t.true(JSON.stringify(input).isWellFormed());
  t.false(JSON.stringify(input).includes('\\ud800'));
});

test('many labels keep the host and its shortest parents', (t) => {
  const host = `${'a.'.repeat(100)}site.example`;
  const { suffixes } = policyInput({ destination: { host, is_ip_literal: false, port: 80 } }).destination;
  t.is(suffixes.length, policyInputLimits.suffixes);
  t.is(suffixes[0], host);
  t.deepEqual(suffixes.slice(-2), ['site.example', 'example']);
});

const entry = (id: string, host: string): AllowEntry => ({ id, host, ports: [80], methods: ['GET'], path_prefix: null });
const matches: readonly [title: string, host: string, literal: boolean, hosts: readonly string[], ids: readonly number[]][] = [
  ['the exact name', 'site.example', false, ['site.example', 'other.example'], [0]],
  ['a suffix covers names below it', 'a.b.site.example', false, ['*.site.example'], [0]],
  ['a suffix does not cover its own name', 'site.example', false, ['*.site.example'], []],
  ['a suffix is not a substring', 'notsite.example', false, ['*.site.example', 'site.example'], []],
  ['exact before suffixes, longer suffixes first', 'a.b.example', false, ['*.example', '*.b.example', 'a.b.example'], [2, 1, 0]],
  ['an address by itself', '192.0.2.1', true, ['192.0.2.1', '192.0.2.11'], [0]],
  ['an address has no suffixes', '192.0.2.1', true, ['*.2.1'], []],
];
for (const [title, host, literal, hosts, ids] of matches) {
  test(`the run's entries for a host: ${title}`, (t) => {
    const allow = hosts.map((name, i) => entry(String(i), name));
    t.deepEqual(matchAllow(host, literal, allow).map((matched) => Number(matched.id)), [...ids]);
  });
}

test('at most 16 entries of the run are for one host, exact ones first', (t) => {
  const allow = [...Array.from({ length: 20 }, (_, i) => entry(`s${i}`, '*.example')), entry('exact', 'site.example')];
  const matched = matchAllow('site.example', false, allow);
  t.is(matched.length, 16);
  t.is(matched[0]!.id, 'exact');
  t.is(matched[0]!.host, 'site.example');
});
