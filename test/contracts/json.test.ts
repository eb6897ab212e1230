import test from 'ava';
import * as fc from 'fast-check';
import { canonicalJson } from '../../contracts/canonical-json.ts';
import { jsonObjectSchema, type JsonObject } from '../../contracts/json.ts';

test('an object is accepted exactly when it has a canonical form', (t) => {
  const value = fc.anything({ maxDepth: 3, withBigInt: true, withNullPrototype: true });
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.oneof(value, fc.jsonValue())), (object) => {
    // What comes out of JSON.parse: undefined fields, dates and the like don't.
    let plain: JsonObject;
    try {
      plain = JSON.parse(JSON.stringify(object)) as JsonObject;
    } catch {
      return;
    }
    let canonical = true;
    try {
      canonicalJson(plain);
    } catch {
      canonical = false;
    }
    t.is(jsonObjectSchema.safeParse(plain).success, canonical);
  }));
});

test('what is no object of JSON values is refused', (t) => {
  for (const value of [null, [], 'x', 1, undefined, { a: undefined }, { a: Number.NaN }, { a: 1n }, { a: [() => 1] }, { a: '\ud800' }, { '\udc00': 1 }]) {
    t.false(jsonObjectSchema.safeParse(value).success, String(value));
  }
});

test('an object is passed on as it is, any key included', (t) => {
  const object = JSON.parse('{"__proto__":{"a":1},"b":[null,true]}') as JsonObject;
  t.is(jsonObjectSchema.parse(object), object);
});
