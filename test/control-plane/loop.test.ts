import test from 'ava';
import type { SallyportError } from '../../contracts/errors.ts';
import { startLoop } from '../../control-plane/loop.ts';
import type { Services } from '../../control-plane/services.ts';
import { Signals } from '../../control-plane/signals.ts';
import { testClock } from '../helpers/clock.ts';
import { until } from '../helpers/wait.ts';

function surroundings() {
  const clock = testClock();
  const faults: SallyportError[] = [];
  const services = { clock, signals: new Signals(), onFault: (error: SallyportError) => { faults.push(error); } } as Partial<Services> as Services;
  return { clock, faults, services };
}

test('a loop begins at once, goes on by time or signal, and hears a signal that comes during a round', async (t) => {
  const { clock, services } = surroundings();
  let rounds = 0;
  let during = (): void => { /* Nothing yet. */ };
  const loop = startLoop(services, { name: 'test', every: 1000, on: ['runs'], round: async () => { rounds++; during(); await Promise.resolve(); } });
  await until('the first round', () => rounds === 1 && clock.waiting === 1);
  clock.advance(1000);
  await until('a round by time', () => rounds === 2 && clock.waiting === 1);
  during = () => { during = () => { /* Once. */ }; services.signals.emit('runs'); };
  services.signals.emit('runs');
  await until('a round by signal, and one by the signal during it', () => rounds === 4 && clock.waiting === 1);
  await loop.stop();
  t.is(clock.waiting, 0, 'nothing is left waiting');
});

test('a failing loop goes on by time alone, and tells its error once a minute, or when it is another', async (t) => {
  const { clock, services, faults } = surroundings();
  let message = 'first';
  let rounds = 0;
  const loop = startLoop(services, { name: 'test', every: 1000, on: ['runs'], round: async () => { rounds++; await Promise.reject(new Error(message)); } });
  const pass = async (): Promise<void> => {
    const before = rounds;
    await until('the loop to wait', () => clock.waiting > 0);
    clock.advance(1000);
    await until('the next round', () => rounds > before && clock.waiting > 0);
  };
  for (let second = 0; second < 30; second++) await pass();
  t.is(faults.length, 1);
  message = 'second';
  await pass();
  t.deepEqual(faults.map((error) => error.message), ['first', 'second']);
  for (let second = 0; second < 65; second++) await pass();
  t.is(faults.length, 3);
  await loop.stop();
});
