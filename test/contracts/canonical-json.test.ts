import test from 'ava';
import * as fc from 'fast-check';
import { canonicalJson } from '../../contracts/canonical-json.ts';
import type { JsonValue } from '../../contracts/json.ts';

test('the example of RFC 8785, section 3.2.2', (t) => {
  const input = String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`;
  t.is(canonicalJson(JSON.parse(input) as JsonValue),
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`);
});

test('keys are in order of their UTF-16 code units (RFC 8785, section 3.2.3)', (t) => {
  const input = String.raw`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
    "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`;
  const values = [...canonicalJson(JSON.parse(input) as JsonValue).matchAll(/:"([^"]*)"/g)].map((match) => match[1]);
  t.deepEqual(values, ['Carriage Return', 'One', 'Control', 'Latin Small Letter O With Diaeresis', 'Euro Sign', 'Emoji: Grinning Face', 'Hebrew Letter Dalet With Dagesh']);
});

test('numbers are written as RFC 8785, appendix B, has them', (t) => {
  const table: readonly (readonly [bits: string, text: string | undefined])[] = [
    ['0000000000000000', '0'], ['8000000000000000', '0'], ['0000000000000001', '5e-324'], ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'], ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'], ['c340000000000000', '-9007199254740992'], ['4430000000000000', '295147905179352830000'],
    ['7fffffffffffffff', undefined], ['7ff0000000000000', undefined],
    ['44b52d02c7e14af5', '9.999999999999997e+22'], ['44b52d02c7e14af6', '1e+23'], ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'], ['444b1ae4d6e2ef4f', '999999999999999900000'], ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'], ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'], ['41b3de4355555554', '333333333.33333325'], ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'], ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'], ['43143ff3c1cb0959', '1424953923781206.2'],
  ];
  for (const [bits, text] of table) {
    const value = Buffer.from(bits, 'hex').readDoubleBE();
    if (text === undefined) t.throws(() => canonicalJson(value), { instanceOf: TypeError }, bits);
    else t.is(canonicalJson(value), text, bits);
  }
});

test('what has no canonical form throws', (t) => {
  let deep: JsonValue = [];
  for (let level = 0; level < 64; level++) deep = [deep];
  const bad: readonly unknown[] = [undefined, Number.NaN, Infinity, 1n, () => 1, Symbol('a'), '\ud800', 'a\udc00b', { '\ud800': 1 }, [undefined], { a: undefined }, new Date(0), new Map(), deep];
  for (const value of bad) t.throws(() => canonicalJson(value as JsonValue), { instanceOf: TypeError }, String(value));
});

/** The definition, without a thought for speed. */
function naive(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map((item) => naive(item as JsonValue)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => `${JSON.stringify(key)}:${naive(item as JsonValue)}`).join(',')}}`;
}

const anyJson = fc.jsonValue({ maxDepth: 5 }) as fc.Arbitrary<JsonValue>;

test('it is JSON of the same value, by the definition, and its own canonical form', (t) => {
  fc.assert(fc.property(anyJson, (value) => {
    const wellFormed = JSON.stringify(value).match(/\\ud[89a-f]/) === null;
    if (!wellFormed) return;
    const text = canonicalJson(value);
    t.is(text, naive(value));
    t.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
    t.is(canonicalJson(JSON.parse(text) as JsonValue), text);
  }), { numRuns: 500 });
});

test('the order in which keys were written does not matter', (t) => {
  fc.assert(fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), anyJson), (object) => {
    const turned = Object.fromEntries(Object.entries(object).toReversed());
    let text: string;
    try {
      text = canonicalJson(object);
    } catch {
      return;
    }
    t.is(canonicalJson(turned), text);
  }));
});
