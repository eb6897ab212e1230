import test from 'ava';
import { ReadBuffer } from '../../../proxy/forward/read-buffer.ts';

/** As a socket reads: into what it was given last. */
function reader(): (length: number, fill: string, held?: boolean) => Buffer {
  const buffer = new ReadBuffer();
  let target = buffer.next(false);
  return (length, fill, held = false) => {
    target.fill(fill, 0, length);
    const bytes = buffer.read(length);
    target = buffer.next(held);
    return bytes;
  };
}

const full = 65_536;

test('what one tunnel reads stays as it is while others read', (t) => {
  const [one, other] = [reader(), reader()];
  for (const length of [5, 5_000, full]) {
    const bytes = one(length, 'a', true);
    other(length, 'b');
    t.true(bytes.equals(Buffer.alloc(length, 'a')), `${length}`);
  }
});

test('a buffer that reads fill is used again, unless someone holds its bytes', (t) => {
  const read = reader();
  read(full, 'a');
  const first = read(full, 'b');
  const second = read(full, 'c', true);
  t.is(second.buffer, first.buffer);
  const third = read(full, 'd');
  t.true(second.equals(Buffer.alloc(full, 'c')));
  t.not(third.buffer, second.buffer);
});

test('what is held stays as it is, whatever this tunnel and others read meanwhile', (t) => {
  const [one, other] = [reader(), reader()];
  const held = [5, 5_000, full, full, 30_000].map((length, index) => one(length, String(index), true));
  for (const length of [full, full, 20_000, 5]) other(length, 'x');
  for (const [index, bytes] of held.entries()) t.true(bytes.equals(Buffer.alloc(bytes.length, String(index))), `${index}`);
});

test('what nobody holds any more is read into again, by whichever tunnel', (t) => {
  const one = new ReadBuffer();
  one.next(false).fill('a');
  const copy = one.read(30_000);
  one.next(false);
  const other = new ReadBuffer();
  other.next(false).fill('b');
  t.is(other.read(30_000).buffer, copy.buffer);
});

test('a tunnel that ends while its bytes are held gives none of them to others', (t) => {
  const one = new ReadBuffer();
  one.next(false).fill('a');
  const held = one.read(30_000);
  one.end(true);
  const other = new ReadBuffer();
  other.next(false).fill('b');
  t.not(other.read(30_000).buffer, held.buffer);
});

test('a tunnel that has grown idle holds no buffer of its own', (t) => {
  const buffer = new ReadBuffer();
  const common = buffer.next(false);
  buffer.read(full);
  t.not(buffer.next(false).buffer, common.buffer);
  buffer.read(100);
  t.is(buffer.next(false), common);
});
