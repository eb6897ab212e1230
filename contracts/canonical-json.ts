import type { JsonValue } from './json.ts';

/** Deeper than anything that we record; a bound for the recursion. */
const depthMax = 64;

/** Text that JSON writes as it is: no quote, backslash, control character, and no surrogate, so the copy is exact. */
const plain = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

function quote(text: string): string {
  if (text.length < 200 && plain.test(text)) return `"${text}"`;
  return JSON.stringify(wellFormed(text));
}

/** JSON.stringify would escape a lone surrogate; RFC 8785, section 3.2.2.2, wants an error. */
function wellFormed(text: string): string {
  if (!text.isWellFormed()) throw new TypeError('a lone surrogate has no canonical form');
  return text;
}

/**
 * RFC 8785 (JCS): the one text of a JSON value. Keys in order of their UTF-16 code units, numbers and strings as ECMAScript
 * writes them, no white space. Throws a TypeError on what is not JSON: NaN, infinities, undefined, functions, lone surrogates,
 * objects with another prototype, and nesting beyond 64 levels.
 *
 * JSON.stringify writes just so what has its keys in order, three times as fast as putting the text together here.
 */
export function canonicalJson(value: JsonValue): string {
  if (typeof value === 'string') return quote(value);
  const ordered = inOrder(value, 0);
  return ordered === unordered ? write(value, 0) : JSON.stringify(ordered);
}

/** Says that an object has a key whose place in an object is not ours to choose: a number, or the prototype. */
const unordered = Symbol('unordered');
const digits = { first: 0x30, last: 0x39 };

/** The same value with keys in order, itself where they are already. */
function inOrder(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return wellFormed(value);
  if (typeof value !== 'object' || value === null) {
    if (!Number.isFinite(value)) scalar(value);
    return value;
  }
  if (depth >= depthMax) throw tooDeep();
  return Array.isArray(value) ? arrayInOrder(value, depth + 1) : objectInOrder(value as Record<string, unknown>, depth + 1);
}

function arrayInOrder(items: readonly unknown[], depth: number): unknown {
  let result = items;
  for (let index = 0; index < items.length; index++) {
    const item = inOrder(items[index], depth);
    if (item === unordered) return unordered;
    if (item === items[index]) continue;
    if (result === items) result = items.slice();
    (result as unknown[])[index] = item;
  }
  return result;
}

function objectInOrder(object: Record<string, unknown>, depth: number): unknown {
  const keys = keysOf(object);
  let same = sortKeys(keys);
  const items: unknown[] = [];
  for (const key of keys) {
    const first = key.charCodeAt(0);
    if ((first >= digits.first && first <= digits.last) || key === '__proto__') return unordered;
    wellFormed(key);
    const item = inOrder(object[key], depth);
    if (item === unordered) return unordered;
    if (item !== object[key]) same = false;
    items.push(item);
  }
  if (same) return object;
  const result: Record<string, unknown> = {};
  for (let index = 0; index < keys.length; index++) result[keys[index]!] = items[index];
  return result;
}

function scalar(value: unknown): string {
  switch (typeof value) {
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} has no canonical form`);
      return String(value === 0 ? 0 : value); // -0 is written as 0 (RFC 8785, appendix B)
    case 'boolean':
      return value ? 'true' : 'false';
    default:
      if (value === null) return 'null';
      throw new TypeError(`${typeof value} has no canonical form`);
  }
}

function tooDeep(): TypeError {
  return new TypeError(`nested more than ${depthMax} levels deep`);
}

function keysOf(object: Record<string, unknown>): string[] {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('an object of a class has no canonical form');
  return Object.keys(object);
}

/** Gives whether they were in order, as what was written canonically is. `<` and `sort` compare UTF-16 code units. */
function sortKeys(keys: string[]): boolean {
  for (let index = 1; index < keys.length; index++) {
    if (keys[index - 1]! < keys[index]!) continue;
    keys.sort();
    return false;
  }
  return true;
}

function write(value: unknown, depth: number): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'object' || value === null) return scalar(value);
  if (depth >= depthMax) throw tooDeep();
  return Array.isArray(value) ? writeArray(value, depth + 1) : writeObject(value as Record<string, unknown>, depth + 1);
}

function writeArray(items: readonly unknown[], depth: number): string {
  return `[${Array.from(items, (item) => write(item, depth)).join(',')}]`;
}

function writeObject(object: Record<string, unknown>, depth: number): string {
  const keys = keysOf(object);
  sortKeys(keys);
  return `{${keys.map((key) => `${quote(key)}:${write(object[key], depth)}`).join(',')}}`;
}
