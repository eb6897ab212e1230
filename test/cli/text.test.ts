import test from 'ava';
import * as fc from 'fast-check';
import { escapeText, formatBytes, formatCount, formatDuration, table, terminalJson } from '../../cli/text.ts';

const hostile: readonly [name: string, text: string, shown: string][] = [
  ['a colour', '\u001b[31mred', '\\x1b[31mred'],
  ['a line break', 'a\r\nb', 'a\\x0d\\x0ab'],
  ['a C1 control', 'a\u009bb', 'a\\x9bb'],
  ['a reordering mark', 'a\u202eb', 'a\\u202eb'],
  ['an invisible character', 'a\u200bb', 'a\\u200bb'],
  ['half a surrogate pair', 'a\ud800b', 'a\\ud800b'],
  ['plain text in another script', 'bücher 本', 'bücher 本'],
];
for (const [name, text, shown] of hostile) test(`${name} is shown as ${shown}`, (t) => t.is(escapeText(text), shown));

test('whatever is escaped holds no control character, and is not much longer than its bound', (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
    const shown = escapeText(text, 100);
    t.false(/[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/u.test(shown));
    t.true(shown.length <= 606);
  }));
});

test('counts have a comma after each three digits', (t) => {
  t.deepEqual([0, 999, 1000, 12_345, 1_234_567].map((count) => formatCount(count)), ['0', '999', '1,000', '12,345', '1,234,567']);
});

test('sizes and times are rounded for a person', (t) => {
  t.deepEqual([0, 1023, 1024, 1536, 10 * 2 ** 20, 2 ** 30 - 1, 2 ** 40].map((bytes) => formatBytes(bytes)), ['0 B', '1023 B', '1 KiB', '1.5 KiB', '10 MiB', '1 GiB', '1 TiB']);
  t.deepEqual([0, 999, 1000, 1500, 59_949, 60_000, 5_400_000, 7_200_000].map((time) => formatDuration(time)), ['0 ms', '999 ms', '1 s', '1.5 s', '59.9 s', '1 m', '1 h 30 m', '2 h']);
});

test('a table aligns its columns and leaves no space at line ends', (t) => {
  t.deepEqual(table([['a', 'bb', ''], ['ccc', 'd', 'e']], new Set([0])), ['  a  bb', 'ccc  d   e']);
});

test('JSON that is printed holds nothing that a terminal obeys, and means the same', (t) => {
  const value = { path: 'a\u009b31mred\u001b[0m\u007f', keys: ['\u202etxt.exe', '\u2028', '\ufeff', 'é', '世', '😀'] };
  for (const indent of [undefined, 2]) {
    const text = terminalJson(value, indent);
    // oxlint-disable-next-line no-control-regex
    t.notRegex(text.replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\ufeff]/);
    t.deepEqual(JSON.parse(text), value);
  }
  t.true(terminalJson(value).includes('é') && terminalJson(value).includes('😀'));
});
