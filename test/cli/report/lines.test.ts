import test from 'ava';
import { exchangesOf } from '../../../cli/report/egress.ts';
import { reportLines } from '../../../cli/report/lines.ts';
import { jailNotes } from '../../../cli/report/notes.ts';
import { reportDocument, type RunReport } from '../../../cli/report/report.ts';
import type { Event, EventType } from '../../../contracts/event.ts';
import type { JsonObject } from '../../../contracts/json.ts';
import type { RunAction, RunView } from '../../../contracts/run-api.ts';
import { runPolicySchema } from '../../../contracts/run-policy.ts';
import { painter } from '../../../cli/text.ts';

let events = 0;
function event(type: EventType, facts: JsonObject, payload: JsonObject): Event {
  return {
    v: 1, event_id: `e${++events}`, type, at: 1000 + events, run_id: 'run_1', causes: [], actor: { kind: 'proxy', id: 'p' },
    policy: { revision: 'r', rules: ['run.allow'] }, facts, payload,
  };
}

const place = { act: 'request', method: 'GET', host: 'site.example', port: 80, path: '/' } as const;

function allowed(payload: JsonObject, outcome: { readonly status?: number; readonly bytes_in?: number; readonly code?: string; readonly meter?: string; readonly detail?: string } = {}): RunAction {
  const { status = 200, bytes_in = 100, detail, ...facts } = outcome;
  return {
    event: event('egress.decided', { egress_id: 'x', spent: { requests: 1 } }, { ...place, ...payload }),
    completion: event(facts.code === undefined ? 'egress.completed' : 'egress.cut', { egress_id: 'x', spent: { bytes_out: 50, bytes_in }, ...facts }, { status, address: '20.30.40.50', duration_ms: 7, ...detail !== undefined && { detail } }),
    entry_index: 3,
  };
}

function denied(code: string, payload: JsonObject): RunAction {
  return { event: event('egress.denied', { egress_id: 'x', code, effect: 'deny' }, { ...place, detail: 'Nothing allows this.', default: code === 'policy_denied', ...payload }), completion: null, entry_index: 3 };
}

/** Oldest first. */
function reportOf(actions: readonly RunAction[], more: Partial<RunReport> = {}, allow: readonly object[] = []): RunReport {
  const run: RunView = {
    run_id: 'run_1', session_id: 'ses_1', goal: 'g', agent: 'a', channel: 'jail', assurance: 'jailed', state: 'Done', reason: null, epoch: 1,
    created_at: 0, started_at: 0, ended_at: 2300, deadline_at: 9, exit_code: 0,
    budget: {
      requests: { limit: 20, used: 3, reserved: 0, remaining: 17 }, bytes_in: { limit: 5 * 2 ** 20, used: 300, reserved: 0, remaining: 1 },
      llm_tokens: { limit: 100_000, used: 0, reserved: 0, remaining: 100_000 }, wall_clock_ms: { limit: null, used: 2300, reserved: 0, remaining: null },
    },
    policy: runPolicySchema.parse({ allow }), labels: {}, links: { self: '', actions: '' },
  };
  return {
    run, exitCode: 0, exchanges: exchangesOf(actions.toReversed()), truncated: false,
    chain: { size: 1234, root: 'ab'.repeat(32), incarnation: 'i' }, settled: true, notes: [], ...more,
  };
}

const text = (report: RunReport): string => reportLines(report, painter(false)).join('\n');

test('what was allowed is grouped by method, host and path, with counts and bytes', (t) => {
  const shown = text(reportOf([allowed({ path: '/a' }), allowed({ path: '/a' }, { status: 304, bytes_in: 2000 }), allowed({ path: '/b', method: 'POST', port: 8080 })]));
  t.regex(shown, /allowed {3}3 requests, 150 B out, 2\.1 KiB in/);
  t.regex(shown, /2x {2}GET +http:\/\/site\.example\/a +200,304 +100 B out +2\.1 KiB in/);
  t.regex(shown, /1x {2}POST +http:\/\/site\.example:8080\/b/);
});

test('the end of the report names state, exit code, budget and chain', (t) => {
  const shown = text(reportOf([]));
  t.regex(shown, /^sallyport: run_1 Done \(exit code 0, 2\.3 s\)/);
  t.regex(shown, /allowed {3}nothing was sent/);
  t.regex(shown, /budget {4}requests 3 of 20, bytes_in 300 B of 5 MiB, wall_clock 2\.3 s$/m);
  t.regex(shown, /chain {5}1,234 entries, root abababababababab…/);
  t.notRegex(shown, /llm_tokens|denied/);
});

test('of a run that goes on it is not said that nothing was sent', (t) => {
  const report = reportOf([]);
  t.regex(text({ ...report, run: { ...report.run, state: 'Active', ended_at: null } }), /allowed {3}nothing so far/);
});

const offers: readonly [what: string, action: RunAction, allow: readonly object[], flag: RegExp | undefined][] = [
  ['a host', denied('policy_denied', { host: 'other.example' }), [], /--allow other\.example:80:GET$/m],
  ['a port', denied('policy_denied', { port: 8080 }), [{ id: 'a', host: 'site.example', ports: [80], methods: ['GET'] }], /--allow site\.example:8080:GET$/m],
  ['a method', denied('policy_denied', { method: 'DELETE' }), [{ id: 'a', host: 'site.example', ports: [80], methods: ['GET'] }], /--allow site\.example:80:DELETE$/m],
  ['a path beside the prefix', denied('policy_denied', { path: '/secret' }), [{ id: 'a', host: 'site.example', ports: [80], methods: ['GET'], path_prefix: '/api' }], /--allow site\.example:80:GET:\/secret$/m],
  ['an IPv6 address', denied('policy_denied', { host: '2620:1234::50' }), [], /--allow \[2620:1234::50\]:80:GET$/m],
  ['a tunnel', denied('policy_denied', { act: 'connect', method: 'CONNECT', port: 443, path: null }), [], /--allow site\.example:443:TUNNEL$/m],
  ['a tunnel that would need interception', denied('needs_interception', { act: 'connect', method: 'CONNECT', port: 443, path: null, default: false }), [], /--allow site\.example:443:TUNNEL$/m],
  ['plain HTTP inside a CONNECT', denied('policy_denied', { act: 'connect', method: 'CONNECT', port: 80, path: null }), [], /--allow site\.example:80$/m],
  ['a private address', denied('core.non_public_address', { address: '10.1.2.3' }), [], /--allow-address 10\.1\.2\.3$/m],
  ['a meter', denied('budget_exhausted', { meter: 'bytes_in' }), [], /a larger --budget bytes_in=\.\.\.$/m],
  ['a rule that forbids', denied('policy_denied', { default: false }), [], undefined],
  ['the metadata address', denied('core.metadata_address', { address: '169.254.169.254' }), [], undefined],
  ['a target that could not be read', denied('ambiguous_target', { host: null, port: null, path: null, target: 'http://a@b' }), [], undefined],
];
for (const [what, action, allow, flag] of offers) {
  test(`denied for ${what}: ${flag === undefined ? 'no flag is offered' : 'the report offers the flag that would allow it'}`, (t) => {
    const shown = text(reportOf([action], {}, allow));
    t.true(shown.includes(String(action.event.facts['code'])), shown);
    t.true(shown.includes('Nothing allows this.'));
    if (flag === undefined) t.notRegex(shown, /to allow it/);
    else t.regex(shown, flag);
  });
}

test('an exchange that was cut says by what', (t) => {
  t.regex(text(reportOf([allowed({}, { code: 'budget_exhausted', meter: 'bytes_in' })])), /ended by budget_exhausted/);
});

test('an exchange that failed says why, below its own line', (t) => {
  const shown = text(reportOf([allowed({}), allowed({ path: '/b' }, { code: 'upstream_tls', detail: 'site.example:443 has a certificate that has expired (2025-02-01).' }), allowed({ path: '/c' })]));
  t.regex(shown, /\/b .*ended by upstream_tls\n {7}site\.example:443 has a certificate that has expired \(2025-02-01\)\.\n.*\/c /);
});

test('a run that observes says what would have been refused, and by which flag it would not', (t) => {
  const action = allowed({ host: 'other.example', observed: 'deny' });
  const shown = text(reportOf([allowed({}), { ...action, event: { ...action.event, policy: { revision: 'r', rules: ['core.default_deny'] } } }]));
  t.regex(shown, /would be {2}denied 1 request$/m);
  t.regex(shown, /to allow it: --allow other\.example:80:GET$/m);
});

test('text of the agent cannot write to the terminal', (t) => {
  const shown = text(reportOf([denied('policy_denied', { path: '/\u001b[2J\r', detail: 'x\u202ey' })], { notes: ['file \u0007'] }));
  // oxlint-disable-next-line no-control-regex
  t.notRegex(shown, /[\u0000-\u0009\u000b-\u001f\u202e]/);
  t.true(shown.includes('\\x1b[2J\\x0d'));
});

test('a long list is cut, and says so', (t) => {
  const shown = text(reportOf(Array.from({ length: 50 }, (_, index) => allowed({ path: `/${index}` }))));
  t.regex(shown, /and 30 others \(see --report\)/);
});

test('what git would run is said', (t) => {
  const notes = jailNotes({
    code: 0, signal: undefined, ended_by: 'agent', memory_kills: 2, warnings: ['one more'],
    git_changes: [{ path: '.git/config', change: 'changed', runs: ['core.fsmonitor = ./x'] }],
  });
  t.deepEqual(notes, ['.git/config was changed; git on this machine would run or obey: core.fsmonitor = ./x', '2 processes were killed for want of memory', 'one more']);
});

test('the document has the fields that api.md names', (t) => {
  const document = reportDocument(reportOf([allowed({}), denied('policy_denied', { host: 'other.example' })]));
  t.deepEqual(Object.keys(document).slice(0, 9), ['v', 'run_id', 'state', 'reason', 'exit_code', 'started_at', 'ended_at', 'budget', 'egress']);
  t.deepEqual(document.budget['requests'], { limit: 20, used: 3 });
  t.deepEqual(document.chain, { size: 1234, root: 'ab'.repeat(32) });
  const [first, second] = document.egress;
  t.deepEqual(Object.keys(first ?? {}), ['event_id', 'at', 'act', 'method', 'scheme', 'host', 'port', 'path', 'address', 'effect', 'code', 'observed', 'rules', 'status', 'bytes_out', 'bytes_in', 'duration_ms']);
  t.like(first, { effect: 'allow', code: null, status: 200, bytes_out: 50, bytes_in: 100, address: '20.30.40.50', duration_ms: 7, rules: ['run.allow'] });
  t.like(second, { effect: 'deny', code: 'policy_denied', host: 'other.example', status: null, bytes_in: 0 });
});

test('a fault is a deny in the document: it was not sent', (t) => {
  const action = { ...denied('engine_error', {}), event: event('egress.denied', { egress_id: 'x', code: 'engine_error', effect: 'fault' }, place) };
  t.like(reportDocument(reportOf([action])).egress[0], { effect: 'deny', code: 'engine_error' });
});

test('what the other side did not take is told as failed, not as denied', (t) => {
  const shown = reportLines(reportOf([denied('upstream_dns', { detail: 'site.example does not exist.' })]), painter(false)).join('\n');
  t.regex(shown, /^ {2}failed {4}1 request$/m);
  t.notRegex(shown, /denied/);
});
