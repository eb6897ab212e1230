/** How long one decision takes, input building and validation included, in one process. Usage: bin/sallyport-node bench/decide.ts [hosts...] */
import { buildPolicyInput, type PolicyInputParts } from '../contracts/policy-input.ts';
import { runPolicySchema } from '../contracts/run-policy.ts';
import { revisionOf, type Bundle } from '../engine/bundle.ts';
import { openEngine, type Engine } from '../engine/engine.ts';
import { loadBundle } from '../engine/load-bundle.ts';

/** Microseconds, at the median, once the code is warm. */
const goal = 20;
const hostCounts = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [100, 100_000];
const rounds = 10;
const decisionsPerRound = 2000;
/** V8 takes some 50,000 evaluations to compile all of the WASM at its best. */
const warmUp = 60_000;

/** The project's policies with `count` hosts, every tenth a suffix, in the everyday data. */
function withHosts(bundle: Bundle, count: number): Bundle {
  const { packs } = JSON.parse(bundle.data) as { packs: { default: { hosts: Record<string, string>; profiles: object } } };
  const hosts: Record<string, string> = {};
  for (let i = 0; i < count; i++) hosts[`${i % 10 === 0 ? '*.' : ''}host-${i}.zone-${i % 97}.example`] = 'read';
  const data = JSON.stringify({ packs: { ...packs, default: { ...packs.default, hosts } } });
  return { ...bundle, data, revision: revisionOf(bundle.manifest, bundle.wasm, data) };
}

const policy = runPolicySchema.parse({ allow: [
  { id: 'allow-1', host: 'site.example', ports: [80, 443], methods: ['GET', 'HEAD'] },
  { id: 'allow-2', host: '*.site.example', ports: [443], methods: ['*'], path_prefix: '/api' },
  { id: 'allow-3', host: 'tunnel.example', ports: [443], methods: ['TUNNEL'] },
] });

function parts(act: 'connect' | 'request' | 'dial', host: string, more: Partial<PolicyInputParts['destination']> = {}): PolicyInputParts {
  return {
    act,
    run: { id: 'run_0190f2d2-1111-7abc-8def-0123456789ab', session_id: 'ses_0190f2d2-1111-7abc-8def-0123456789ab', agent: 'agent', state: 'Active', labels: {}, taint: null, policy },
    destination: { host, is_ip_literal: false, port: 443, scheme: 'https', ...more },
    ...(act === 'request' && { request: {
      method: 'GET', path: '/docs/guides/2026/index.html', query_keys: ['q', 'page'], body_bytes: 0,
      headers: [['host', host], ['user-agent', 'curl/8.0'], ['accept', '*/*'], ['accept-encoding', 'gzip'], ['connection', 'keep-alive']],
    } }),
    budget: { requests: { limit: 1000, used: 10, reserved: 1, remaining: 989 }, bytes_out: { limit: 10_485_760, used: 2000, reserved: 0, remaining: 10_483_760 } },
    now_ms: 1_767_225_600_000,
  };
}

const cases: readonly (readonly [title: string, effect: string, parts: PolicyInputParts])[] = [
  ['request, allowed by the run', 'allow', parts('request', 'site.example')],
  ['request, allowed by a listed host', 'allow', parts('request', 'host-51.zone-51.example')],
  ['request, allowed by a listed suffix', 'allow', parts('request', 'www.host-50.zone-50.example')],
  ['request, denied', 'deny', parts('request', 'elsewhere.example')],
  ['connect to a tunnel', 'allow', parts('connect', 'tunnel.example')],
  ['dial of a public address', 'allow', parts('dial', 'site.example', { address: '20.30.40.50', address_class: 'public' })],
];

function measure(engine: Engine, given: PolicyInputParts, times: number[]): void {
  for (let i = 0; i < decisionsPerRound; i++) {
    const start = process.hrtime.bigint();
    engine.decide(buildPolicyInput(given));
    times.push(Number(process.hrtime.bigint() - start) / 1000);
  }
}

const at = (sorted: readonly number[], share: number): string => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(1).padStart(8);

const bundle = await loadBundle(new URL('../policies', import.meta.url).pathname);
console.log(`decision (build input, evaluate, validate), microseconds; goal: median <= ${goal}`);
for (const count of hostCounts) {
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const engine = await openEngine(withHosts(bundle, count));
  const opened = performance.now() - start;
  const grown = (process.memoryUsage().rss - before) / 1024 / 1024;
  for (let i = 0; i < warmUp; i++) engine.decide(buildPolicyInput(cases[i % cases.length]![2]));

  const times = cases.map((): number[] => []);
  for (let round = 0; round < rounds; round++) for (const [i, [, , given]] of cases.entries()) measure(engine, given, times[i]!);
  console.log(`\n${count} hosts (opened in ${opened.toFixed(0)} ms, ${grown.toFixed(0)} MiB)`.padEnd(48), '     p50      p99      min');
  for (const [i, [title, effect, given]] of cases.entries()) {
    const answer = engine.decide(buildPolicyInput(given)).effect;
    const sorted = times[i]!.toSorted((a, b) => a - b);
    const verdict = answer === effect ? '' : `   VOID: answered ${answer}, not ${effect}`;
    console.log(`  ${title}`.padEnd(47), `${at(sorted, 0.5)} ${at(sorted, 0.99)} ${at(sorted, 0)}${verdict}`);
  }
}
