import test from 'ava';
import { borrowBuffer, freeRead, giveBackBuffer, pooledBytes } from '../../../proxy/wire/buffer-pool.ts';

test('a buffer that was given back is borrowed again, and two borrowers never have the same one', (t) => {
  const [one, other] = [borrowBuffer(), borrowBuffer()];
  t.is(one.length, pooledBytes);
  t.not(one.buffer, other.buffer);
  giveBackBuffer(one);
  t.is(borrowBuffer().buffer, one.buffer);
});

test('of a read its own memory is freed at once; memory that others have a part of is left alone', (t) => {
  const whole = Buffer.allocUnsafeSlow(10_000);
  freeRead(whole);
  t.is(whole.buffer.byteLength, 0);
  const parted = Buffer.allocUnsafeSlow(10_000);
  freeRead(parted.subarray(0, 9_000));
  t.is(parted.buffer.byteLength, 10_000);
  const small = Buffer.from('from the pool of small buffers');
  const { byteLength } = small.buffer;
  freeRead(small);
  t.is(small.buffer.byteLength, byteLength);
});
