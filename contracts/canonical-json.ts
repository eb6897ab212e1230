import type { JsonValue } from './json.ts';

/** Deeper than anything that we record; a bound for the recursion. */
const depthMax = 64;

/** Text that JSON writes as it is: no quote, backslash, control character, and no surrogate, so the copy is exact. */
const plain = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

function quote(text: string): string {
  if (text.length < 200 && plain.test(text)) return `"${text}"`;
  // JSON.stringify would escape a lone surrogate; RFC 8785, section 3.2.2.2, wants an error.
  if (!text.isWellFormed()) throw new TypeError('a lone surrogate has no canonical form');
  return JSON.stringify(text);
}

/**
 * RFC 8785 (JCS): the one text of a JSON value. Keys in order of their UTF-16 code units, numbers and strings as ECMAScript
 * writes them, no white space. Throws a TypeError on what is not JSON: NaN, infinities, undefined, functions, lone surrogates,
 * objects with another prototype, and nesting beyond 64 levels.
 */
export function canonicalJson(value: JsonValue): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} has no canonical form`);
      return String(value === 0 ? 0 : value); // -0 is written as 0 (RFC 8785, appendix B)
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      break;
    default:
      throw new TypeError(`${typeof value} has no canonical form`);
  }
  if (value === null) return 'null';
  if (depth >= depthMax) throw new TypeError(`nested more than ${depthMax} levels deep`);
  return Array.isArray(value) ? writeArray(value, depth + 1) : writeObject(value as Record<string, unknown>, depth + 1);
}

function writeArray(items: readonly unknown[], depth: number): string {
  let text = '[';
  for (let index = 0; index < items.length; index++) text += index === 0 ? write(items[index], depth) : `,${write(items[index], depth)}`;
  return `${text}]`;
}

function writeObject(object: Record<string, unknown>, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('an object of a class has no canonical form');
  const keys = Object.keys(object);
  let sorted = true;
  for (let index = 1; index < keys.length && sorted; index++) sorted = keys[index - 1]! < keys[index]!;
  // What was written canonically is read in order, so the sort is rarely needed. `<` and `sort` compare UTF-16 code units.
  if (!sorted) keys.sort();
  let text = '{';
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index]!;
    text += `${index === 0 ? '' : ','}${quote(key)}:${write(object[key], depth)}`;
  }
  return `${text}}`;
}
