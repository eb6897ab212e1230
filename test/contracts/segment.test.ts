import test from 'ava';
import * as fc from 'fast-check';
import { sha256Hex } from '../../contracts/digest.ts';
import type { Event } from '../../contracts/event.ts';
import { uuidv7 } from '../../contracts/ids.ts';
import { firstPrevious, type SegmentHeader } from '../../contracts/journal.ts';
import { formatSegment, parseSegment } from '../../contracts/segment.ts';

const header: SegmentHeader = { v: 1, journal_id: 'jnl_1', sequence: 0, previous: firstPrevious, opened_at: 1_732_464_000_000 };

const event = (index: number, payload: Event['payload'] = {}): Event => ({
  v: 1, event_id: uuidv7(1_732_464_000_000 + index), type: 'egress.denied', at: 1_732_464_000_000 + index, run_id: 'run_1', causes: [],
  actor: { kind: 'proxy', id: 'prx_1' }, facts: { egress_id: `egr_${index}`, code: 'policy_denied', effect: 'deny' }, payload,
});

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const whole = formatSegment(header, [event(0), event(1, { url: 'http://site.example/é' }), event(2)]);

/** The text with a footer that fits its bytes, as someone would write it who changes a segment. */
function reclosed(lines: readonly string[], records = lines.length - 1): Uint8Array {
  const text = lines.map((line) => `${line}\n`).join('');
  return bytesOf(`${text}${JSON.stringify({ end: true, records, digest: sha256Hex(text) })}\n`);
}

test('a closed segment reads back, with the digest that the next one names', (t) => {
  const parsed = parseSegment(bytesOf(whole));
  const lines = whole.split('\n');
  t.like(parsed, { ok: true, segment: { header, closed: true, dropped_bytes: 0, digest: sha256Hex(`${lines.slice(0, 4).join('\n')}\n`) } });
  t.deepEqual(parsed.ok && parsed.segment.events.map((each) => each.facts['egress_id']), ['egr_0', 'egr_1', 'egr_2']);
});

test('whatever events go in come out', (t) => {
  const payload = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 })) as fc.Arbitrary<Event['payload']>;
  fc.assert(fc.property(fc.array(payload, { maxLength: 5 }), fc.nat(), (payloads, sequence) => {
    const events = payloads.map((each, index) => event(index, each));
    const first = { ...header, sequence, previous: sequence === 0 ? firstPrevious : 'a'.repeat(64) };
    const parsed = parseSegment(bytesOf(formatSegment(first, events)));
    t.deepEqual(parsed.ok && parsed.segment.events, JSON.parse(JSON.stringify(events)) as Event[]);
    t.deepEqual(parsed.ok && parsed.segment.header, first);
  }));
});

test('cut anywhere, a segment is open and has its whole records, or has no header', (t) => {
  const bytes = bytesOf(whole);
  const ends = [...whole.matchAll(/\n/g)].map(({ index }) => Buffer.byteLength(whole.slice(0, index + 1)));
  for (let length = 0; length < bytes.length; length++) {
    const parsed = parseSegment(bytes.subarray(0, length));
    const lines = ends.filter((end) => end <= length);
    if (lines.length === 0) {
      t.false(parsed.ok, `${length}`);
      continue;
    }
    t.like(parsed, { ok: true, segment: { closed: false, dropped_bytes: length - lines.at(-1)! } }, `${length}`);
    t.is(parsed.ok && parsed.segment.events.length, lines.length - 1);
  }
});

test('no changed byte passes', (t) => {
  const bytes = bytesOf(whole);
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at]! ^= 1 << (at % 8);
    const parsed = parseSegment(changed);
    t.false(parsed.ok && parsed.segment.closed, `byte ${at}`);
  }
});

test('what is no segment is refused, with the line', (t) => {
  const [first = '', second = '', third = '', fourth = '', footer = ''] = whole.split('\n');
  const table: readonly (readonly [bytes: Uint8Array, reason: RegExp])[] = [
    [bytesOf(''), /no header/],
    [bytesOf('{}\n'), /line 1 is not the header/],
    [reclosed([second, third]), /line 1 is not the header/],
    [reclosed([first.replace('"v":1', '"v":2')]), /line 1/],
    [reclosed([first.replace('}', ',"x":1}')]), /line 1/],
    [reclosed([first.replace(firstPrevious, 'a'.repeat(64))]), /names one before/],
    [reclosed([first, second, '', third]), /line 3 is not JSON/],
    [reclosed([first, second.slice(0, -1), third]), /line 2 is not JSON/],
    [reclosed([first, '{}']), /line 2 is not an event/],
    [reclosed([first, second.replace('egress.denied', 'egress.gone')]), /line 2 is not an event/],
    [reclosed([first, second.replace('"causes":[]', '"causes":[],"x":1')]), /line 2 is not an event/],
    [reclosed([first, second.replace('"payload":{}', String.raw`"payload":{"x":"\ud800"}`)]), /line 2 is not an event/],
    [reclosed([first, second.replace('"payload":{}', `"payload":{"x":${'['.repeat(64)}${']'.repeat(64)}}`)]), /line 2 is not an event/],
    [reclosed([first, `{"end":true}`, third]), /line 2 is not the end/],
    [reclosed([first, second], 2), /counts 2 records, it has 1/],
    [bytesOf(`${[first, second, third, fourth, footer, second].join('\n')}\n`), /after the end/],
    [bytesOf(`${whole}x`), /after the end/],
    [bytesOf([first, third, second, fourth, footer, ''].join('\n')), /digest/],
    [bytesOf([first, second, fourth, footer, ''].join('\n')), /counts 3 records/],
    [Buffer.concat([bytesOf(`${first}\n`), Buffer.of(0xff), bytesOf('\n')]), /line 2 is not JSON in UTF-8/],
    [reclosed([first, JSON.stringify(event(0, { x: 'x'.repeat(70_000) }))]), /line 2 is longer/],
    [reclosed([first, ...Array.from({ length: 1101 }, () => second)]), /more than 1100 records/],
  ];
  for (const [bytes, reason] of table) {
    const parsed = parseSegment(bytes);
    t.false(parsed.ok, reason.source);
    if (!parsed.ok) t.regex(parsed.reason, reason);
  }
  t.true(parseSegment(reclosed([first, ...Array.from({ length: 1100 }, () => second)])).ok);
});
