/** What policy may say wrong: a faulty pack or engine must not open a way. */
import test from 'ava';
import type { Decision, Effect, Obligation, Reason } from '../../../contracts/decision.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import type { PolicyInput } from '../../../contracts/policy-input.ts';
import { runPolicySchema } from '../../../contracts/run-policy.ts';
import type { Decide } from '../../../proxy/decide/question.ts';
import type { Egress } from '../../../proxy/describe/egress.ts';
import { OwnAddresses } from '../../../proxy/describe/own-addresses.ts';
import { AddressBook } from '../../../proxy/enforce/addresses.ts';
import { DialRules } from '../../../proxy/enforce/dial.ts';
import { enforce, type EnforceContext, type Enforced } from '../../../proxy/enforce/enforce.ts';
import { NameResolver } from '../../../proxy/enforce/resolver.ts';
import type { RunSpending } from '../../../proxy/enforce/spending.ts';
import type { Exchange } from '../../../proxy/exchange.ts';
import { EventWriter } from '../../../proxy/record/egress-events.ts';
import type { Journal } from '../../../proxy/record/journal.ts';
import { LiveRun } from '../../../proxy/runs.ts';
import { testClock } from '../../helpers/clock.ts';

const reasonOf = (effect: Effect, rule: string): Reason => ({ effect, rule, pack: rule.split('.')[0]!, message: `because of ${rule}`, visible_to_agent: true });

function decision(effect: Effect, rule: string, obligations: readonly Obligation[] = []): Decision {
  return { v: 1, effect, default: rule === 'core.default_deny', reasons: [reasonOf(effect, rule)], approval: null, obligations };
}

const allow = (obligations: readonly Obligation[] = []): Decision => decision('allow', 'run.allow', obligations);

interface Given {
  readonly decision?: Decision;
  /** Of a dial; default: allowed, whatever the address. */
  readonly dial?: (input: PolicyInput) => Decision;
  readonly egress?: Partial<Egress>;
  readonly mode?: 'enforce' | 'observe';
  readonly intercept?: boolean;
  readonly addresses?: readonly string[];
  readonly isOfPlace?: boolean;
  readonly journal?: () => Promise<void>;
  readonly reserve?: () => SallyportError | undefined | Promise<SallyportError | undefined>;
}

interface Outcome {
  readonly enforced: Enforced;
  readonly lines: readonly string[];
  readonly reserved: number;
  readonly dials: number;
}

const base: Egress = {
  act: 'request', form: 'absolute', method: 'GET', host: 'site.test', port: 80, is_ip_literal: false, scheme: 'http', tls: undefined, authority: 'site.test', path: '/', target: '/',
  query_keys: [], headers: [], credential: 'none', host_mismatch: false, own_name: false, body_bytes: 0, upgrade: undefined,
};
const connect: Partial<Egress> = { act: 'connect', form: 'connect', method: 'CONNECT', scheme: undefined, path: undefined, target: undefined };

function setUp(given: Given): { run: (times?: number) => Promise<Outcome> } {
  const clock = testClock();
  const lines: string[] = [];
  let reserved = 0;
  let dials = 0;
  const decide: Decide = ({ input }) => {
    dials++;
    return { decision: given.dial?.(input()) ?? allow(), revision: 'rev', input_digest: 'd' };
  };
  const spending = {
    reserveRequest: () => {
      reserved++;
      return given.reserve?.();
    },
    giveBack: () => { reserved--; },
    update: () => undefined,
  } as unknown as RunSpending;
  const live = new LiveRun({
    run_id: 'run_1', session_id: 'ses_1', short_id: 's', agent: 'agent', state: 'Active', epoch: 1, token_sha256: 'a'.repeat(64), channel: 'credentials',
    policy: runPolicySchema.parse({ mode: given.mode ?? 'enforce', intercept: given.intercept ?? false }), labels: {}, taint: null, deadline_at: clock.now() + 1000, limits: {},
  }, spending);
  const resolver = new NameResolver(clock, (_host, family) => {
    const addresses = (given.addresses ?? ['20.30.40.50']).filter((address) => address.includes(':') === (family === 6));
    return addresses.length === 0 ? Promise.reject(Object.assign(new Error('none'), { code: 'ENODATA' })) : Promise.resolve({ addresses, ttlSeconds: 60 });
  });
  const journal = {
    append: (line: string) => {
      lines.push(line);
      return given.journal?.() ?? Promise.resolve();
    },
  } as unknown as Journal;
  const own = new OwnAddresses([{ host: '20.30.40.99', port: 80 }]);
  const context: EnforceContext = {
    clock, journal, events: new EventWriter(clock, 'prx'), unready: () => undefined,
    decide, own,
    addresses: new AddressBook(resolver, own),
    dialRules: new DialRules({ decide, revision: () => 'rev', isOfPlace: () => given.isOfPlace ?? true }, clock),
  };
  const egress: Egress = { ...base, ...given.egress };
  const exchange = { form: { kind: egress.form }, head: { method: egress.method, target: '/', headers: [] } } as unknown as Exchange;
  const judgement = { decision: given.decision ?? allow(), revision: 'rev', input_digest: 'd' };
  const one = (): Promise<Enforced> => enforce(context, { egress_id: 'egr_1', attribution: undefined, assurance: undefined }, exchange, { run: live, epoch: 1 }, egress, judgement);
  return {
    async run(times = 1) {
      let enforced = await one();
      for (let index = 1; index < times; index++) enforced = await one();
      return { enforced, lines, reserved, dials };
    },
  };
}

const codeOf = (enforced: Enforced): string => enforced.kind === 'denied' ? enforced.denial.code : enforced.kind;

interface Case {
  readonly title: string;
  readonly given: Given;
  readonly code: string;
}

const passthrough: Obligation = { type: 'passthrough', rule: 'run.allow', params: {} };
const intercept: Obligation = { type: 'intercept', rule: 'core.look_inside', params: {} };

const cases: readonly Case[] = [
  { title: 'an allow', given: {}, code: 'permit' },
  { title: 'a deny', given: { decision: decision('deny', 'github.no_delete') }, code: 'policy_denied' },
  { title: 'nothing that allows', given: { decision: decision('deny', 'core.default_deny') }, code: 'policy_denied' },
  { title: 'a rule of core', given: { decision: decision('deny', 'core.secret_misdirected') }, code: 'core.secret_misdirected' },
  { title: 'an approval', given: { decision: decision('require_approval', 'github.write') }, code: 'approval_required' },
  { title: 'an allowed tunnel', given: { egress: connect, decision: allow([passthrough]) }, code: 'permit' },
  { title: 'an allowed tunnel of bytes that are not TLS', given: { egress: connect, decision: allow([passthrough, { ...passthrough, type: 'raw' }]) }, code: 'permit' },
  { title: 'an allowed tunnel to 443', given: { egress: { ...connect, port: 443 }, decision: allow([passthrough]) }, code: 'permit' },
  { title: 'a CONNECT whose inside is judged', given: { egress: connect, decision: allow([intercept]) }, code: 'inside' },
  { title: 'a CONNECT without a word about its inside', given: { egress: connect }, code: 'inside' },
  { title: 'the same to 443', given: { egress: { ...connect, port: 443 }, decision: allow([intercept]) }, code: 'needs_interception' },
  { title: 'the same in observe mode', given: { egress: { ...connect, port: 443 }, decision: allow([intercept]), mode: 'observe' }, code: 'permit' },
  { title: 'the same where TLS is looked into', given: { egress: { ...connect, port: 443 }, decision: allow([intercept]), intercept: true }, code: 'inside' },
  { title: 'the same in observe mode, where TLS is looked into', given: { egress: { ...connect, port: 443 }, decision: allow([intercept]), mode: 'observe', intercept: true }, code: 'inside' },
  { title: 'an allowed tunnel where TLS is looked into', given: { egress: { ...connect, port: 443 }, decision: allow([passthrough]), intercept: true }, code: 'permit' },
  { title: 'a deny in observe mode', given: { decision: decision('deny', 'core.default_deny'), mode: 'observe' }, code: 'permit' },
  { title: 'a rule of core in observe mode', given: { decision: decision('deny', 'core.host_mismatch'), mode: 'observe' }, code: 'core.host_mismatch' },
  { title: 'an allow of a host mismatch', given: { egress: { host_mismatch: true } }, code: 'core.host_mismatch' },
  { title: 'an allow of the control plane\'s name', given: { egress: { own_name: true, host: 'sallyport.internal' } }, code: 'core.self_address' },
  { title: 'an allow of the metadata address', given: { addresses: ['169.254.169.254'] }, code: 'core.metadata_address' },
  { title: 'an allow of the metadata address beside another', given: { addresses: ['20.30.40.50', 'fd00:ec2::254'] }, code: 'core.metadata_address' },
  { title: 'an allow of the proxy itself', given: { addresses: ['20.30.40.99'] }, code: 'core.self_address' },
  { title: 'the same in observe mode', given: { addresses: ['20.30.40.99'], mode: 'observe' }, code: 'core.self_address' },
  { title: 'a deny of one address among several', given: { addresses: ['20.30.40.50', '20.30.40.51'], dial: ({ destination }) => destination.address === '20.30.40.51' ? decision('deny', 'core.non_public_address') : allow() }, code: 'core.non_public_address' },
  { title: 'an exhausted budget', given: { reserve: () => new SallyportError('budget_exhausted', 'none left') }, code: 'budget_exhausted' },
];

for (const [index, { title, given, code }] of cases.entries()) {
  test(`${index}: ${title} is ${code}`, async (t) => {
    const { enforced, lines, reserved } = await setUp(given).run();
    t.is(codeOf(enforced), code);
    t.is(lines.length, code === 'permit' ? 1 : 0, 'only what is permitted is decided');
    if (code !== 'budget_exhausted') t.is(reserved, code === 'permit' ? 1 : 0, 'only what is permitted costs');
    if (enforced.kind === 'denied') t.true(enforced.denial.next_steps.length > 0);
  });
}

for (const type of ['inject_secret', 'redact_header', 'limit', 'timeout', 'rewrite_path', 'hold'] as const) {
  test(`an obligation that cannot be performed turns an allow into a refusal: ${type}`, async (t) => {
    const { run } = setUp({ decision: allow([{ type, rule: 'some.rule', params: {} }]) });
    const error = await t.throwsAsync(run(), { instanceOf: SallyportError });
    t.is(error?.code, 'policy_invalid_decision');
    t.true(error?.message.includes(type));
  });
}

test('a dial that cannot be decided sends nothing', async (t) => {
  const { run } = setUp({ dial: () => { throw new SallyportError('engine_error', 'poisoned'); } });
  t.is((await t.throwsAsync(run(), { instanceOf: SallyportError }))?.code, 'engine_error');
});

test('without a receipt there is no permit, and the unit goes back', async (t) => {
  let reserved = 0;
  const { run } = setUp({
    reserve: () => { reserved++; return undefined; },
    journal: () => Promise.reject(new SallyportError('journal_unavailable', 'full')),
  });
  t.is((await t.throwsAsync(run(), { instanceOf: SallyportError }))?.code, 'journal_unavailable');
  t.is(reserved, 1);
});

test('in observe mode the record says what would have happened', async (t) => {
  const { lines } = await setUp({ decision: decision('deny', 'core.default_deny'), mode: 'observe' }).run();
  t.is((JSON.parse(lines[0]!) as { payload: { observed: string } }).payload.observed, 'deny');
});

test('a place is judged once, unless policy looks at the clock or at credentials', async (t) => {
  t.is((await setUp({ addresses: ['20.30.40.50', '20.30.40.51'] }).run(5)).dials, 2);
  t.is((await setUp({ addresses: ['20.30.40.50', '20.30.40.51'], isOfPlace: false }).run(5)).dials, 10);
});

test('a permit names its run, place and addresses, and is not valid once its run is stopped', async (t) => {
  const { enforced } = await setUp({ addresses: ['20.30.40.50', '2620:1234::50'] }).run();
  if (enforced.kind !== 'permit') return t.fail();
  const { permit } = enforced;
  t.deepEqual([...permit.addresses].map(({ address }) => address).sort(), ['20.30.40.50', '2620:1234::50']);
  t.like(permit, { run_id: 'run_1', kind: 'http', host: 'site.test', port: 80, authority: 'site.test', method: 'GET', target: '/' });
  t.true(permit.pool_key.includes('run_1'));
  t.true(permit.stillValid());
});
