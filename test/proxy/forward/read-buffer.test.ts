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
    const bytes = one(length, 'a');
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

test('a tunnel that has grown idle holds no buffer of its own', (t) => {
  const buffer = new ReadBuffer();
  const common = buffer.next(false);
  buffer.read(full);
  t.not(buffer.next(false), common);
  buffer.read(100);
  t.is(buffer.next(false), common);
});
