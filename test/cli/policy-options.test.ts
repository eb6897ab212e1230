import test from 'ava';
import * as fc from 'fast-check';
import { parseRange, parseResolve } from '../../cli/address-options.ts';
import { parseAmount, parseBudget } from '../../cli/budget-option.ts';
import { readPolicyOptions, type PolicyFlags } from '../../cli/policy-options.ts';
import type { Channel } from '../../contracts/run.ts';
import { runPolicySchema } from '../../contracts/run-policy.ts';

const amounts: readonly [text: string, unit: Parameters<typeof parseAmount>[1], value: number | RegExp][] = [
  ['20', 'count', 20], ['0', 'count', 0], ['-1', 'count', /not a whole number/], ['1.5', 'count', /not a whole number/], ['', 'count', /not a whole number/],
  ['9007199254740993', 'count', /too large/],
  ['1048576', 'bytes', 1_048_576], ['10MiB', 'bytes', 10 * 2 ** 20], ['1.5KiB', 'bytes', 1536], ['500KB', 'bytes', 500_000], ['2GB', 'bytes', 2e9],
  ['0.1KB', 'bytes', 100], ['0.0001KB', 'bytes', /not a whole number of units/], ['10mib', 'bytes', /not a size/], ['10 MiB', 'bytes', /not a size/], ['9999999999TiB', 'bytes', /too large/],
  ['30s', 'time', 30_000], ['5m', 'time', 300_000], ['1h30m', 'time', 5_400_000], ['250ms', 'time', 250], ['1.5s', 'time', 1500], ['1d', 'time', 86_400_000],
  ['300', 'time', /not a time/], ['5min', 'time', /not a time/], ['m', 'time', /not a time/],
  ['0.50', 'dollars', 500_000], ['12', 'dollars', 12_000_000], ['0.000001', 'dollars', 1], ['0.1', 'dollars', 100_000], ['0.0000001', 'dollars', /not an amount/], ['1,5', 'dollars', /not an amount/],
];
for (const [text, unit, value] of amounts) {
  test(`"${text}" as ${unit}`, (t) => {
    const parsed = parseAmount(text, unit);
    if (typeof value === 'number') t.deepEqual(parsed, { value });
    else t.regex('mistake' in parsed ? parsed.mistake : `was read as ${parsed.value}`, value);
  });
}

test('a size is exact: what its digits and unit say, or refused', (t) => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 30 }), fc.integer({ min: 0, max: 999 }), fc.constantFrom(['KB', 1000n], ['KiB', 1024n], ['MiB', 1024n ** 2n]), (whole, thousandths, [name, size]) => {
    const exact = (BigInt(whole) * 1000n + BigInt(thousandths)) * (size as bigint);
    const parsed = parseAmount(`${whole}.${String(thousandths).padStart(3, '0')}${String(name)}`, 'bytes');
    if (exact % 1000n === 0n) t.deepEqual(parsed, { value: Number(exact / 1000n) });
    else t.true('mistake' in parsed);
  }));
});

test('a budget names each meter once, over all flags', (t) => {
  t.deepEqual(parseBudget(['requests=20,bytes_in=5MiB', 'wall_clock=5m']).budget.amounts, { requests: 20, bytes_in: 5 * 2 ** 20, wall_clock_ms: 300_000 });
  t.regex(parseBudget(['requests=1', 'requests=2']).mistakes[0]?.mistake ?? '', /limited twice/);
  t.regex(parseBudget(['request=1']).mistakes[0]?.mistake ?? '', /"request" is not a meter \(there are requests, bytes_out/);
  t.regex(parseBudget(['requests']).mistakes[0]?.mistake ?? '', /says no limit; write requests=N/);
});

const ranges: Readonly<Record<string, string | RegExp>> = {
  '10.0.0.0/8': '10.0.0.0/8', '10.1.2.3': '10.1.2.3/32', 'FD00::/8': 'fd00::/8', '[fd00::1]': 'fd00::1/128', '0.0.0.0/0': '0.0.0.0/0', '::/0': '::/0', '172.16.0.0/12': '172.16.0.0/12',
  '10.0.0.5/8': /write 10\.0\.0\.0\/8 for the range/, 'fd00::1/8': /write fd00::\/8/, '10.0.0.0/33': /prefix length from 0 to 32/, '10.0.0.0/': /prefix length/, '10.0.0/8': /not an address/, 'intranet': /not an address/,
};
for (const [text, range] of Object.entries(ranges)) {
  test(`--allow-address ${text}`, (t) => {
    const parsed = parseRange(text);
    if (typeof range === 'string') t.deepEqual(parsed, { value: range });
    else t.regex('mistake' in parsed ? parsed.mistake : `was read as ${parsed.value}`, range);
  });
}

test('--resolve takes a name, a port and an address', (t) => {
  t.deepEqual(parseResolve('Example.org:80:10.1.2.3'), { value: { host: 'example.org', port: 80, address: '10.1.2.3' } });
  t.deepEqual(parseResolve('example.org:80:[2001:DB8::1]'), { value: { host: 'example.org', port: 80, address: '2001:db8::1' } });
  t.deepEqual(parseResolve('example.org:80:2001:db8::1'), { value: { host: 'example.org', port: 80, address: '2001:db8::1' } });
  for (const text of ['example.org:80', 'example.org:0:10.1.2.3', 'example.org:80:nowhere', '10.1.2.3:80:10.1.2.4', ':80:10.1.2.3']) t.true('mistake' in parseResolve(text), text);
});

test('all mistakes are reported together, each with its flag', (t) => {
  const options = readPolicyOptions({ allow: ['example.org:443:GET', 'ok.example:80', 'a b'], budget: ['requests=x'], resolve: ['nothing'], param: ['no'], pack: ['Not'], allowAddress: ['10.0.0.1/8'] }, 'credentials');
  t.false(options.ok);
  if (options.ok) return;
  t.is(options.code, 'usage');
  t.is(options.sentences.length, 7);
  for (const [index, flag] of ['--allow example.org:443:GET', '--allow a b', '--allow-address', '--resolve', '--pack', '--param', '--budget'].entries()) {
    t.true(options.sentences[index]?.startsWith(flag), options.sentences[index]);
  }
});

const unsupported: readonly PolicyFlags[] = [{ budget: ['cost_usd=0.50'] }, { budget: ['llm_tokens=10'] }, { budget: ['steps=1'] }];
for (const flags of unsupported) {
  test(`${JSON.stringify(flags)} is not supported yet, and said to be`, (t) => {
    const options = readPolicyOptions(flags, 'jail');
    t.false(options.ok);
    if (!options.ok) t.is(options.code, 'not_supported');
  });
}

test('good options are a policy that the control plane takes unchanged', (t) => {
  const options = readPolicyOptions({
    allow: ['example.org:80:GET', '*.example.net'], allowAddress: ['10.1.0.0/16'], resolve: ['example.org:80:10.1.2.3'],
    pack: ['github', 'github'], param: ['github.org=acme', 'github.depth=3', 'github.names=["a"]'], budget: ['requests=5'],
  }, 'credentials');
  if (!options.ok) return t.fail(options.sentences.join('\n'));
  t.deepEqual(runPolicySchema.parse(options.policy), options.policy as typeof runPolicySchema._output);
  t.deepEqual(options.policy.params, { github: { org: 'acme', depth: 3, names: ['a'] } });
  t.deepEqual(options.policy.packs, ['github']);
  t.deepEqual(options.budget, { requests: 5 });
  const observing = readPolicyOptions({ observe: true }, 'jail');
  t.is(observing.ok && observing.policy.mode, 'observe');
});

const looks: readonly [channel: Channel, intercept: boolean | undefined, looks: boolean][] = [
  ['jail', undefined, true], ['jail', true, true], ['jail', false, false], ['credentials', undefined, false], ['credentials', true, true], ['credentials', false, false],
];
for (const [channel, intercept, expected] of looks) {
  test(`channel ${channel} with intercept ${intercept ?? 'left out'}: TLS is ${expected ? '' : 'not '}looked into, and methods on 443 are ${expected ? 'taken' : 'a mistake'}`, (t) => {
    const flags: PolicyFlags = intercept === undefined ? {} : { intercept };
    const plain = readPolicyOptions({ ...flags, allow: ['example.org', 'example.org:443:TUNNEL'] }, channel);
    t.is(plain.ok && plain.policy.intercept, expected);
    for (const text of ['example.org:443', 'example.org:443:GET', 'example.org:80,443:POST', 'example.org:443:GET:/path']) {
      const options = readPolicyOptions({ ...flags, allow: [text] }, channel);
      t.is(options.ok, expected, text);
      if (!options.ok) t.regex(options.sentences.join(), /cannot be judged on port 443.*--intercept.*example\.org:443:TUNNEL/);
    }
  });
}
