import test from 'ava';
import * as fc from 'fast-check';
import { LineBuffer } from '../../../proxy/record/line-buffer.ts';

test('lines come out as they would joined, whatever is in them, one call after the other', (t) => {
  const buffer = new LineBuffer();
  fc.assert(fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 20 }), (lines) => {
    t.deepEqual(buffer.encode(lines), Buffer.from(lines.map((line) => `${line}\n`).join('')));
  }));
});

test('lines of more than the buffer holds are taken all the same', (t) => {
  const buffer = new LineBuffer();
  for (const length of [100_000, 2_000_000, 10]) t.is(buffer.encode(['\u20ac'.repeat(length)]).length, length * 3 + 1);
});
