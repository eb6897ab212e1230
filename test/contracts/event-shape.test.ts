import test from 'ava';
import * as fc from 'fast-check';
import { hasEventShape } from '../../contracts/event-shape.ts';
import { actorKinds, eventSchema, eventTypes, type Event } from '../../contracts/event.ts';
import { uuidv7 } from '../../contracts/ids.ts';

const ids = fc.stringMatching(/^[ -~]{1,100}$/);
const uuids = fc.nat().map((offset) => uuidv7(1_732_464_000_000 + offset));
const texts = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: 'grapheme', maxLength: Math.floor(maxLength / 12) });
const objects = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 }));

const events = fc.record({
  v: fc.constant(1), event_id: uuids, type: fc.constantFrom(...eventTypes), at: fc.maxSafeNat(), session_id: ids, run_id: ids, step_id: ids,
  causes: fc.array(uuids, { maxLength: 16 }), actor: fc.record({ kind: fc.constantFrom(...actorKinds), id: ids }),
  policy: fc.record({ revision: texts(100), rules: fc.array(texts(200), { maxLength: 8 }) }), facts: objects, payload: objects,
}, { requiredKeys: ['v', 'event_id', 'type', 'at', 'causes', 'actor', 'facts', 'payload'] });

const asRead = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

test('what the schema takes has the shape, so that it is seldom asked', (t) => {
  fc.assert(fc.property(events, (event) => {
    const read = asRead(event);
    t.true(hasEventShape(read));
    t.deepEqual(eventSchema.parse(read) as unknown, read);
  }));
});

/** Values that are nearly right somewhere. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1, 2, 1.5, -0, 2 ** 53, '', ' ', 'x'.repeat(100), 'x'.repeat(101), 'x'.repeat(200), 'x'.repeat(201), '\0', '\x7f', 'é', '\ud800', [], {}, [1], ['x'],
    Array.from({ length: 17 }, () => uuidv7(0)), Array.from({ length: 65 }, () => 'r'), { kind: 'proxy', id: '' }, { kind: 'proxy', id: 'p', x: 1 }, { kind: 'nobody', id: 'p' }, { kind: 'proxy' },
    { revision: 'r' }, { revision: 'r', rules: ['\ud800'] }, { revision: '\ud800', rules: [] }, { revision: 'r', rules: [], x: 1 }, { revision: 'x'.repeat(101), rules: [] },
    { revision: 'r', rules: Array.from({ length: 65 }, () => 'r') }, { a: '\udc00' }, { '\udc00': 1 }, { a: [{ b: '\ud800' }] }, JSON.parse('{"a":1e999}'), JSON.parse(`${'{"a":'.repeat(70)}1${'}'.repeat(70)}`),
    '019dc0a0-0000-7000-8000-00000000000', '019dc0a0-0000-4000-8000-000000000000', '019dc0a0-0000-7000-c000-000000000000', 'egress.gone'),
  fc.jsonValue({ maxDepth: 2 }),
);
const keys = ['v', 'event_id', 'type', 'at', 'session_id', 'run_id', 'step_id', 'causes', 'actor', 'policy', 'facts', 'payload', 'x', '__proto__', 'constructor'] as const;

test('what has the shape is an event, as it is, by the schema', (t) => {
  let refused = 0;
  fc.assert(fc.property(events, fc.constantFrom(...keys), odd, fc.boolean(), (event, key, value, removed) => {
    const changed = { ...event } as Record<string, unknown>;
    if (removed) delete changed[key];
    else Object.defineProperty(changed, key, { value, enumerable: true, configurable: true, writable: true });
    const shaped = hasEventShape(changed);
    const parsed = eventSchema.safeParse(changed);
    if (shaped) t.deepEqual(parsed.data as unknown, changed);
    else if (!parsed.success) refused++;
    t.is(shaped, parsed.success && Object.keys(parsed.data as Event).length === Object.keys(changed).length);
  }), { numRuns: 2_000 });
  t.true(refused > 50);
});

test('what is no object is no event', (t) => {
  for (const value of [null, undefined, 1, 'x', [], [{}], {}]) t.false(hasEventShape(value));
});
