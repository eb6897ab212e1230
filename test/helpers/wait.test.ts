import test from 'ava';
import { EventEmitter } from 'node:events';
import { event, until, within } from './wait.ts';

test('what does not come is named', async (t) => {
  await t.throwsAsync(within('the parcel', new Promise(() => { /* Never. */ }), 20), { message: 'Did not come within 20 ms: the parcel' });
  await t.throwsAsync(event('the bell', new EventEmitter(), 'ring', 20), { message: 'Did not come within 20 ms: the bell' });
  const error = await t.throwsAsync(until('the file', () => { throw new Error('ENOENT'); }, 20));
  t.is(error.message, 'Did not come within 20 ms: the file');
  t.is((error.cause as Error).message, 'ENOENT');
});

test('a condition is asked until it gives something', async (t) => {
  let asked = 0;
  t.is(await until('the third answer', () => ++asked === 3 && 'third'), 'third');
  t.is(await until('a zero', () => 0), 0);
});

test('a failure comes through at once', async (t) => {
  await t.throwsAsync(within('x', Promise.reject(new Error('broken'))), { message: 'broken' });
});
