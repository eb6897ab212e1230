/** Records as large as an agent or an origin can make them: one that the control plane refuses would hold up the journal of all runs. */
import test from 'ava';
import { systemClock } from '../../../contracts/clock.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { recordMaxBytes } from '../../../contracts/journal.ts';
import { formatSegment, parseSegment } from '../../../contracts/segment.ts';
import type { Event } from '../../../contracts/event.ts';
import { denialOf } from '../../../proxy/denial.ts';
import { describe } from '../../../proxy/describe/describe.ts';
import type { Exchange } from '../../../proxy/exchange.ts';
import { EventWriter, type Judgement, type Subject } from '../../../proxy/record/egress-events.ts';

const writer = new EventWriter(systemClock, 'prx_test');
const subject: Subject = { egress_id: 'egr_1', attribution: { run_id: 'run_1', session_id: 'ses_1' }, assurance: 'jailed' };

/** 98 fields that are shown whole, of bytes that JSON or UTF-8 doubles. */
const fields = (value: string): readonly string[] => ['Host', 'site.test', ...Array.from({ length: 98 }, () => ['accept-encoding', value]).flat()];
const quotes = '"'.repeat(256);
const latin = '\u00ff'.repeat(256);
const controls = Array.from({ length: 60 }, (_, index) => `${String.fromCharCode(65 + index % 26)}${index}${'%00%01%02'.repeat(9)}=`).join('&');

const exchangeOf = (target: string, value: string): Exchange => ({
  head: { method: 'GET', target: `http://site.test${target}`, version: '1.1', headers: fields(value), framing: { kind: 'none' }, expects_continue: false, upgrade: undefined },
  form: { kind: 'absolute' },
} as unknown as Exchange);

const judgement = (message: string): Judgement => ({
  revision: 'r'.repeat(64), input_digest: 'd'.repeat(64),
  decision: {
    v: 1, effect: 'deny', default: false, approval: null, obligations: [],
    reasons: Array.from({ length: 64 }, (_, index) => ({ effect: 'deny', rule: `long.r${index}${'x'.repeat(70)}`, pack: 'long', message, visible_to_agent: true })),
  },
});

function isTaken(text: string): string {
  const parsed = parseSegment(Buffer.from(formatSegment({ v: 1, journal_id: 'jnl_1', sequence: 0, previous: '0'.repeat(64), opened_at: 1 }, [JSON.parse(text) as Event])));
  return parsed.ok ? 'taken' : parsed.reason;
}

const targets: readonly (readonly [title: string, target: string])[] = [
  ['a path of 16,000 quotes', `/${'"'.repeat(16_000)}`],
  ['a path of 8,000 quotes and query keys of as many', `/${'"'.repeat(8000)}?${Array.from({ length: 32 }, (_, index) => `${'"'.repeat(240)}${index}`).join('&')}`],
  ['query keys of encoded controls', `/?${controls}`],
];

for (const [title, target] of targets) {
  for (const [kind, value] of [['quotes', quotes], ['latin1 bytes', latin]] as const) {
    test(`a refused request with ${title} and fields of ${kind} makes a record that is taken`, (t) => {
      const exchange = exchangeOf(target, value);
      const denial = denialOf(new SallyportError('not_supported', 'The request has a longer path than the 8192 that policy can look at.'));
      t.is(isTaken(writer.denied(subject, exchange, describe(exchange), denial, undefined).text), 'taken');
      t.is(isTaken(writer.denied(subject, exchange, undefined, denial, undefined).text), 'taken');
    });
  }
}

test('reasons of any length in any script do not make a refusal too large to be recorded', (t) => {
  const exchange = exchangeOf(targets[0]![1], latin);
  const judged = judgement('\u4e16'.repeat(500));
  const denial = denialOf(new SallyportError('policy_denied', judged.decision.reasons[0]!.message), { reasons: judged.decision.reasons });
  const { text } = writer.denied(subject, exchange, describe(exchange), denial, judged);
  t.is(isTaken(text), 'taken');
  t.like(JSON.parse(text), { type: 'egress.denied', run_id: 'run_1', facts: { egress_id: 'egr_1', code: 'policy_denied' }, payload: { host: 'site.test', method: 'GET' } });
});

test('whatever an origin puts into its head, the end of the exchange can be recorded', (t) => {
  for (const value of [quotes, latin]) {
    const line = writer.ended(subject, '01a20e87-0e27-7437-89b0-248be5e9be39', {
      kind: 'completed', status: 200, response_headers: Array.from({ length: 100 }, () => ['content-encoding', value]).flat(), address: undefined,
      bytes_out: 1, bytes_in: 2, first_byte_ms: 1, duration_ms: 2, code: undefined,
    });
    t.is(isTaken(line.text), 'taken');
    t.true(Buffer.byteLength(line.text) < recordMaxBytes / 2);
  }
});
