import test from 'ava';
import { SharedLookUps } from '../../../control-plane/runs/shared-look-ups.ts';
import { testClock } from '../../helpers/clock.ts';

function setup() {
  const clock = testClock();
  const begun: { readonly key: string; readonly answer: PromiseWithResolvers<number> }[] = [];
  const looks = new SharedLookUps<number>(clock, (key) => {
    const answer = Promise.withResolvers<number>();
    begun.push({ key, answer });
    return answer.promise;
  });
  const until = async (count: number): Promise<void> => { while (begun.length < count) await new Promise((resolve) => { setImmediate(resolve); }); };
  return { clock, looks, begun, until };
}

test('all who ask in one turn share one look-up, by what they ask for', async (t) => {
  const { looks, begun, until } = setup();
  const asked = [looks.get('a'), looks.get('a'), looks.get('b'), looks.get('a')];
  await until(2);
  t.deepEqual(begun.map(({ key }) => key), ['a', 'b']);
  for (const [index, { answer }] of begun.entries()) answer.resolve(index);
  t.deepEqual(await Promise.all(asked), [0, 0, 1, 0]);
});

test('who asks while one is under way gets what is read after that, all of them the same', async (t) => {
  const { looks, begun, until } = setup();
  const first = looks.get('a');
  await until(1);
  const later = [looks.get('a'), looks.get('a')];
  begun[0]!.answer.resolve(1);
  t.is(await first, 1);
  await until(2);
  begun[1]!.answer.resolve(2);
  t.deepEqual(await Promise.all(later), [2, 2]);
  t.is(begun.length, 2);
});

test('what is young enough is given again, unless it is forgotten', async (t) => {
  const { clock, looks, begun, until } = setup();
  const ask = async (maxAge: number, count: number): Promise<number> => {
    const asked = looks.get('a', maxAge);
    await until(count);
    begun.at(-1)!.answer.resolve(count);
    return await asked;
  };
  t.is(await ask(0, 1), 1);
  clock.advance(499);
  t.is(await ask(500, 1), 1);
  clock.advance(1);
  t.is(await ask(500, 2), 2);
  looks.forget('a');
  t.is(await ask(500, 3), 3);
});

test('a look-up that fails fails for those who asked, and not for the next', async (t) => {
  const { looks, begun, until } = setup();
  const first = looks.get('a');
  await until(1);
  const next = looks.get('a');
  begun[0]!.answer.reject(new Error('gone'));
  await t.throwsAsync(first, { message: 'gone' });
  await until(2);
  begun[1]!.answer.resolve(2);
  t.is(await next, 2);
});
