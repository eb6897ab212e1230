import test from 'ava';
import * as fc from 'fast-check';
import type { AllowEntry } from '../../contracts/run-policy.ts';
import { openEngine, type Engine } from '../../engine/engine.ts';
import { loadBundle } from '../../engine/load-bundle.ts';
import { policiesFolder, policyInput } from '../helpers/policies.ts';

let engine: Engine;
test.before(async () => {
  engine = await openEngine(await loadBundle(policiesFolder));
});

interface Asked {
  readonly act: 'connect' | 'request';
  readonly host: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
}

const entry = (host: string, ports: readonly number[], methods: readonly string[], path_prefix: string | null = null): Omit<AllowEntry, 'id'> => ({ host, ports, methods, path_prefix });
const get: Asked = { act: 'request', host: 'site.example', port: 80, method: 'GET', path: '/' };
const connect: Asked = { ...get, act: 'connect', port: 443 };

function ask(asked: Asked, allow: readonly Omit<AllowEntry, 'id'>[]): string {
  const { act, host, port, method, path } = asked;
  const input = policyInput({ act, destination: { host, port, is_ip_literal: false }, ...(act === 'request' && { request: { method, path } }) },
    { allow: allow.map((each, i) => ({ ...each, id: `allow-${i + 1}` })) });
  const { effect, obligations } = engine.decide(input);
  return [effect, ...obligations.map((obligation) => obligation.type)].join(' ');
}

const table: readonly [title: string, asked: Asked, allow: readonly Omit<AllowEntry, 'id'>[], answer: string][] = [
  ['nothing given', get, [], 'deny'],
  ['the host, its port and method', get, [entry('site.example', [80], ['GET'])], 'allow'],
  ['another host', get, [entry('other.example', [80], ['*'])], 'deny'],
  ['a name below a suffix', { ...get, host: 'a.site.example' }, [entry('*.site.example', [80], ['GET'])], 'allow'],
  ['the suffix itself', get, [entry('*.site.example', [80], ['GET'])], 'deny'],
  ['a name that only ends alike', { ...get, host: 'evilsite.example' }, [entry('*.site.example', [80], ['GET']), entry('site.example', [80], ['GET'])], 'deny'],
  ['another port', { ...get, port: 8080 }, [entry('site.example', [80, 443], ['GET'])], 'deny'],
  ['HEAD where only GET is given', { ...get, method: 'HEAD' }, [entry('site.example', [80], ['GET'])], 'deny'],
  ['any method', { ...get, method: 'DELETE' }, [entry('site.example', [80], ['*'])], 'allow'],
  ['the prefix', { ...get, path: '/api' }, [entry('site.example', [80], ['GET'], '/api')], 'allow'],
  ['below the prefix', { ...get, path: '/api/v1' }, [entry('site.example', [80], ['GET'], '/api')], 'allow'],
  ['beside the prefix', { ...get, path: '/apix' }, [entry('site.example', [80], ['GET'], '/api')], 'deny'],
  ['above the prefix', get, [entry('site.example', [80], ['GET'], '/api')], 'deny'],
  ['below a prefix with a final slash', { ...get, path: '/api/v1' }, [entry('site.example', [80], ['GET'], '/api/')], 'allow'],
  ['a prefix with a final slash, without it', { ...get, path: '/api' }, [entry('site.example', [80], ['GET'], '/api/')], 'deny'],
  ['an encoded slash is no boundary', { ...get, path: '/api%2Fx' }, [entry('site.example', [80], ['GET'], '/api')], 'deny'],
  ['a request where a tunnel was given', get, [entry('site.example', [80], ['TUNNEL'])], 'deny'],
  ['a connect to a port of which the inside may be judged', connect, [entry('site.example', [443], ['GET'], '/api')], 'allow intercept'],
  ['a connect to a tunnel', connect, [entry('site.example', [443], ['TUNNEL'])], 'allow passthrough raw'],
  ['a connect where both were given', connect, [entry('site.example', [443], ['GET']), entry('site.example', [443], ['TUNNEL'])], 'allow passthrough raw'],
  ['a connect where the tunnel is on another port', connect, [entry('site.example', [443], ['*']), entry('site.example', [8443], ['TUNNEL'])], 'allow intercept'],
  ['a connect to another port', { ...connect, port: 25 }, [entry('site.example', [443], ['TUNNEL'])], 'deny'],
];
for (const [title, asked, allow, answer] of table) {
  test(`--allow: ${title}: ${answer}`, (t) => {
    t.is(ask(asked, allow), answer);
  });
}

/** The meaning of an entry in other words than the Rego's. */
function covers(each: Omit<AllowEntry, 'id'>, { act, host, port, method, path }: Asked): boolean {
  const named = each.host.startsWith('*.') ? host !== each.host.slice(2) && `.${host}`.endsWith(each.host.slice(1)) : host === each.host;
  if (!named || !each.ports.includes(port)) return false;
  if (act === 'connect') return true;
  const below = each.path_prefix === null ? [''] : each.path_prefix.split('/');
  const segments = path.split('/');
  const prefixed = below.at(-1) === '' && below.length > 1
    ? below.slice(0, -1).every((segment, i) => segments[i] === segment) && segments.length >= below.length
    : below.every((segment, i) => segments[i] === segment);
  return prefixed && method !== 'TUNNEL' && (each.methods.includes('*') || each.methods.includes(method));
}

test('what the WASM allows is exactly what the entries mean', (t) => {
  const path = fc.array(fc.constantFrom('a', 'b', 'ab', '', '%2F'), { maxLength: 4 }).map((segments) => `/${segments.join('/')}`);
  const entries = fc.array(fc.record({
    host: fc.constantFrom('site.example', '*.site.example', '*.example', 'a.site.example', 'other.test'), ports: fc.constantFrom([80], [443], [80, 443]),
    methods: fc.constantFrom(['GET'], ['GET', 'POST'], ['*'], ['TUNNEL']), path_prefix: fc.oneof(fc.constant(null), path),
  }).map((each) => (each.methods[0] === 'TUNNEL' ? { ...each, path_prefix: null } : each)), { maxLength: 4 });
  const asked = fc.record({
    act: fc.constantFrom('connect' as const, 'request' as const), host: fc.constantFrom('site.example', 'a.site.example', 'x.example', 'xsite.example', 'example'),
    port: fc.constantFrom(80, 443, 22), method: fc.constantFrom('GET', 'POST', 'TUNNEL', 'get'), path,
  });
  const answers = new Map<string, number>();
  fc.assert(fc.property(asked, entries, (given, allow) => {
    const covering = allow.filter((each) => covers(each, given));
    const unseen = covering.some((each) => each.methods.some((word) => word === 'TUNNEL'));
    const expected = covering.length === 0 ? 'deny' : given.act === 'request' ? 'allow' : unseen ? 'allow passthrough raw' : 'allow intercept';
    answers.set(expected, (answers.get(expected) ?? 0) + 1);
    return ask(given, allow) === expected;
  }), { numRuns: 4000 });
  t.true([...answers.values()].every((count) => count > 50) && answers.size === 4, JSON.stringify([...answers]));
});
