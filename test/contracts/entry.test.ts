import test from 'ava';
import * as fc from 'fast-check';
import { canonicalJson } from '../../contracts/canonical-json.ts';
import { sha256Hex } from '../../contracts/digest.ts';
import { leafOf, makeEntry, payloadDigest, splitBodyLine, type EntryHeader } from '../../contracts/entry.ts';
import type { Event } from '../../contracts/event.ts';
import type { JsonObject, JsonValue } from '../../contracts/json.ts';
import { leafHash } from '../../contracts/merkle-tree.ts';

const salt = '00112233445566778899aabbccddeeff';
const header: EntryHeader = { v: 1, kind: 'segment', entry_id: 'ent_1', journal_id: 'jnl_1', sequence: 3 };

const event = (payload: JsonObject, facts: JsonObject = {}): Event => ({
  v: 1, event_id: '01920000-0000-7000-8000-000000000000', type: 'egress.denied', at: 1_732_464_000_000, run_id: 'run_1', causes: [],
  actor: { kind: 'proxy', id: 'prx_1' }, policy: { revision: 'r', rules: ['core.default'] }, facts, payload,
});

/** The events of a body by JSON alone; a shredded payload is `{}`. */
const readBody = (body: string): readonly unknown[] => body.split('\n').slice(0, -1).map((line) => {
  const { event: { payload_digest: _, ...rest }, payload } = JSON.parse(line) as { readonly event: JsonObject; readonly payload?: JsonObject };
  return { ...rest, payload: payload ?? {} };
});

const hex = (hash: Uint8Array): string => Buffer.from(hash).toString('hex');

test('a body line is canonical JSON of event, payload and salt', (t) => {
  const { body } = makeEntry(header, [event({ url: 'http://site.example/' }, { code: 'policy_denied' })], () => salt);
  t.is(body, `${canonicalJson(JSON.parse(body) as JsonValue)}\n`);
  const line = JSON.parse(body) as { readonly event: JsonObject; readonly payload: JsonValue; readonly salt: string };
  t.is(line.salt, salt);
  t.deepEqual(line.payload, { url: 'http://site.example/' });
  t.is(line.event['payload'], undefined);
  t.is(line.event['payload_digest'], sha256Hex(`${salt}{"url":"http://site.example/"}`));
});

test('the leaf is the hash of the canonical entry with hashed events', (t) => {
  for (const each of [header, { v: 1, kind: 'transaction', entry_id: 'ent_2' } as const]) {
    const events = [event({ a: 1 }), event({ b: [true, null, 'é"\\'] }, { code: 'x', payload: { payload: 1 } })];
    const hashed = events.map(({ payload, ...rest }) => ({ ...rest, payload_digest: payloadDigest(salt, canonicalJson(payload)) }));
    const expected = leafHash(canonicalJson({ ...each, events: hashed } as unknown as JsonValue));
    t.is(hex(leafOf(makeEntry(each, events, () => salt))), hex(expected));
  }
  t.is(hex(leafOf({ header, body: '' })), hex(leafHash(canonicalJson({ ...header, events: [] } as unknown as JsonValue))));
});

test('every event has a salt of its own', (t) => {
  let count = 0;
  makeEntry(header, [event({}), event({})], () => {
    count++;
    return salt;
  });
  t.is(count, 2);
  t.throws(() => makeEntry(header, [event({})], () => 'short'), { instanceOf: TypeError });
});

const payloads = fc.oneof(
  fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 })),
  fc.constantFrom<JsonObject>({ payload: 1 }, { salt }, { x: `,"payload":{},"salt":"${salt}"}` }, { payload_digest: 'a'.repeat(64) }, { event: {} }),
) as fc.Arbitrary<JsonObject>;

test('what is read back from a body are the events', (t) => {
  fc.assert(fc.property(fc.array(payloads, { maxLength: 4 }), payloads, (list, facts) => {
    const events = list.map((payload) => event(payload, facts));
    let entry;
    try {
      entry = makeEntry(header, events, () => salt);
    } catch {
      return; // Lone surrogates, or facts with the reserved key.
    }
    // JSON has no -0.
    t.deepEqual(readBody(entry.body), JSON.parse(JSON.stringify(events)));
    for (const [index, line] of entry.body.split('\n').slice(0, -1).entries()) {
      const { payload, ...rest } = events[index]!;
      t.deepEqual(splitBodyLine(line), {
        event: canonicalJson({ ...rest, payload_digest: payloadDigest(salt, canonicalJson(payload)) } as unknown as JsonValue), shredded: false,
      });
    }
  }));
});

test('facts may not have the key that marks the digest', (t) => {
  t.throws(() => makeEntry(header, [event({}, { payload_digest: 'x' })], () => salt), { instanceOf: TypeError, message: /payload_digest/ });
});

test('a shredded event keeps its leaf', (t) => {
  const entry = makeEntry(header, [event({ secret: 'x' }), event({ b: 1 })], () => salt);
  const [first, second] = entry.body.split('\n') as [string, string];
  const shredded = { header, body: `${first.slice(0, first.indexOf(',"payload":'))}}\n${second}\n` };
  t.false(shredded.body.includes('secret'));
  t.is(hex(leafOf(shredded)), hex(leafOf(entry)));
  t.deepEqual(readBody(shredded.body), [event({}), event({ b: 1 })]);
});

test('no change of one character leaves the leaf as it was', (t) => {
  const entry = makeEntry(header, [event({ url: 'http://site.example/', n: 1 }, { code: 'policy_denied' })], () => salt);
  const leaf = hex(leafOf(entry));
  for (let at = 0; at < entry.body.length; at++) {
    for (const character of ['0', 'a', '"', ' ', '\n', '']) {
      const body = entry.body.slice(0, at) + character + entry.body.slice(at + 1);
      if (body === entry.body) continue;
      let changed: string;
      try {
        changed = hex(leafOf({ header, body }));
      } catch {
        continue;
      }
      t.not(changed, leaf, `${at}: ${body}`);
    }
  }
});
