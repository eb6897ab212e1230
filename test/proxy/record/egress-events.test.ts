import test from 'ava';
import * as fc from 'fast-check';
import { canonicalJson } from '../../../contracts/canonical-json.ts';
import type { Reason } from '../../../contracts/decision.ts';
import type { DecidedPayload, OutcomeFacts, OutcomePayload } from '../../../contracts/egress-record.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { eventSchema } from '../../../contracts/event.ts';
import { fitsRecord } from '../../../contracts/journal.ts';
import { denialOf } from '../../../proxy/denial.ts';
import type { Egress } from '../../../proxy/describe/egress.ts';
import type { Exchange } from '../../../proxy/exchange.ts';
import { EventWriter, type Judgement, type Subject } from '../../../proxy/record/egress-events.ts';
import { testClock } from '../../helpers/clock.ts';

const writer = new EventWriter(testClock(), 'prx_"1"');
const subject: Subject = { egress_id: 'egr_1', attribution: { run_id: 'run_1', session_id: 'ses_1' }, assurance: 'cooperative' };
const decidedId = '01a20e87-0e27-7437-89b0-248be5e9be39';

const reason = (message: string): Reason => ({ effect: 'allow', rule: 'run.allow', pack: 'run', message, visible_to_agent: true });

function judgement(messages: readonly string[] = ['yes']): Judgement {
  return { revision: 'rev', input_digest: 'digest', decision: { v: 1, effect: 'allow', default: false, reasons: messages.map(reason), approval: null, obligations: [] } };
}

function exchange(target: string, headers: readonly string[]): Exchange {
  return { form: { kind: 'absolute' }, head: { version: '1.1', method: 'GET', target, headers } } as unknown as Exchange;
}

const egress: Egress = {
  act: 'request', form: 'absolute', method: 'GET', host: 'site.test', port: 80, is_ip_literal: false, scheme: 'http', tls: undefined, authority: 'site.test', path: '/p', target: '/p?q',
  query_keys: ['q"'], headers: [], credential: 'none', host_mismatch: false, own_name: false, body_bytes: 0, upgrade: undefined,
};
const address = { address: '127.0.0.1', family: 4, address_class: 'loopback' } as const;

/** A record has to be an event, and one that has a canonical form: else the control plane would never take its segment. */
function parsed(text: string): { readonly type: string; readonly facts: Record<string, unknown>; readonly payload: Record<string, unknown> } {
  if (!fitsRecord(text)) throw new Error(`a record of ${text.length}`);
  const event = eventSchema.parse(JSON.parse(text));
  canonicalJson(event as never);
  return event as never;
}

test('a decided exchange is written as the event that it is', (t) => {
  const event = parsed(writer.decided(subject, exchange('/p?q', ['Host', 'site.test', 'Authorization', 'x"y']), egress, judgement(), [address], null).text);
  t.like(event, {
    type: 'egress.decided', session_id: 'ses_1', run_id: 'run_1', causes: [], actor: { kind: 'proxy', id: 'prx_"1"' },
    policy: { revision: 'rev', rules: ['run.allow'] }, facts: { egress_id: 'egr_1', spent: { requests: 1 } },
  });
  t.deepEqual(event.payload, {
    act: 'request', form: 'absolute', method: 'GET', scheme: 'http', http_version: '1.1', tls: null, host: 'site.test', port: 80, path: '/p', query_keys: ['q"'],
    request_headers: [['Host', 'site.test'], ['Authorization', '[redacted]']], credential: 'none', assurance: 'cooperative',
    reasons: [reason('yes')], obligations: [], addresses: ['127.0.0.1'], input_digest: 'digest', observed: null,
  });
});

test('whatever an agent or an origin sends, records are events with a canonical form and of bounded size', (t) => {
  const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 600 });
  const list = fc.array(latin1, { maxLength: 200 });
  fc.assert(fc.property(latin1, list, fc.string({ unit: 'binary', maxLength: 300 }), (text, headers, detail) => {
    const one = { ...egress, method: text, path: text, query_keys: headers };
    const of = exchange(text, headers);
    for (const line of [
      writer.decided(subject, of, one, judgement(), [address], 'deny'),
      writer.denied(subject, of, one, denialOf(new SallyportError('policy_denied', detail)), judgement()),
      writer.denied({ ...subject, attribution: undefined }, of, undefined, denialOf(new SallyportError('bad_request', detail, { next_steps: [detail] })), undefined),
      writer.ended(subject, decidedId, { kind: 'cut', status: 200, response_headers: headers, address: undefined, bytes_out: 1, bytes_in: 2, first_byte_ms: 1.5, duration_ms: 2.5, code: 'client_gone' }),
    ]) parsed(line.text);
    t.pass();
  }), { numRuns: 50 });
});

test('a record that would be too large loses its head and all reasons but the first, not its facts', (t) => {
  const huge = judgement(Array.from({ length: 64 }, () => '\u{1F600}'.repeat(250)));
  const decided = parsed(writer.decided(subject, exchange('/', []), egress, huge, [address], null).text);
  t.is((decided.payload['reasons'] as unknown[]).length, 1);
  const denied = parsed(writer.denied(subject, exchange('/', []), egress, { ...denialOf(new SallyportError('policy_denied', 'no')), reasons: huge.decision.reasons }, huge).text);
  t.is((denied.payload['reasons'] as unknown[]).length, 1);
  t.is(denied.facts['egress_id'], 'egr_1');
});

const targets: readonly (readonly [string, string])[] = [
  ['http://user:secret@site.test/a?key=secret', 'http://...@site.test/a?'],
  ['//secret@site.test', '//...@site.test'],
  ['user:secret@site.test', '...@site.test'],
  ['http://site.test/a?key=secret', 'http://site.test/a?'],
  ['/a?secret', '/a?'],
];
for (const [target, shown] of targets) {
  test(`of a target that cannot be read neither query nor user information is recorded: ${target}`, (t) => {
    const event = parsed(writer.denied(subject, exchange(target, []), undefined, denialOf(new SallyportError('ambiguous_target', 'unclear')), undefined).text);
    t.is(event.payload['target'], shown);
    t.false(JSON.stringify(event).includes('secret'));
  });
}

test('what is written by hand has the fields of its contract and no others', (t) => {
  const decided: DecidedPayload = {
    act: 'request', form: 'absolute', method: 'GET', scheme: 'http', http_version: '1.1', tls: null, host: 'site.test', port: 80, path: '/p', query_keys: ['q"'], request_headers: [['accept', 'a']], credential: 'none',
    assurance: 'cooperative', reasons: [reason('yes')], obligations: [], addresses: ['127.0.0.1'], input_digest: 'digest', observed: 'deny',
  };
  t.deepEqual(parsed(writer.decided(subject, exchange('/p?q', ['accept', 'a']), egress, judgement(), [address], 'deny').text).payload, { ...decided });

  const facts: OutcomeFacts = { egress_id: 'egr_1', spent: { bytes_out: 1, bytes_in: 2 }, code: 'budget_exhausted', meter: 'bytes_in' };
  const payload: OutcomePayload = { status: 200, address: '127.0.0.1', response_headers: [['server', 's']], http_version: '2', tls: { version: 'TLSv1.3', resumed: true }, first_byte_ms: 2, duration_ms: 3, detail: 'why "so"' };
  const ended = parsed(writer.ended(subject, decidedId, {
    kind: 'cut', status: 200, address: '127.0.0.1', response_headers: ['server', 's'], bytes_out: 1, bytes_in: 2, first_byte_ms: 1.5, duration_ms: 2.5,
    code: 'budget_exhausted', meter: 'bytes_in', detail: 'why "so"', http_version: '2', tls: { version: 'TLSv1.3', resumed: true },
  }).text);
  t.deepEqual(ended.facts, { ...facts });
  t.deepEqual(ended.payload, { ...payload });
  t.deepEqual(parsed(writer.ended(subject, decidedId, {
    kind: 'completed', status: undefined, address: undefined, response_headers: [], bytes_out: 1, bytes_in: 2, first_byte_ms: undefined, duration_ms: 0, code: undefined,
  }).text).payload, { ...{ status: null, address: null, response_headers: [], http_version: null, tls: null, first_byte_ms: null, duration_ms: 0 } satisfies OutcomePayload });
});
