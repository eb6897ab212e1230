import test from 'ava';
import { array, assert, constantFrom, property } from 'fast-check';
import { isDirty } from '../../../proxy/wire/dirt.ts';

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const dirt = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\n[ \t]/;

test('every character is clean or dirty as the rule says', (t) => {
  for (let code = 0; code < 256; code++) {
    const character = String.fromCharCode(code);
    for (const text of [character, `a${character}b`, `\r\n${character}`, `${character}\r\n`, `\r${character}`, `${character}\n`]) t.is(isDirty(text), dirt.test(text), JSON.stringify(text));
  }
});

test('texts of the characters that matter are clean or dirty as the rule says', (t) => {
  const character = constantFrom('\r', '\n', '\r\n', ' ', '\t', 'a', '\0', '\x7f', '\xff');
  assert(property(array(character, { maxLength: 12 }), (characters) => {
    const text = characters.join('');
    t.is(isDirty(text), dirt.test(text), JSON.stringify(text));
  }), { numRuns: 5000 });
});
