import test from 'ava';
import * as fc from 'fast-check';
import { isTerminal, legalTransitions, runStates, type RunState, type TransitionActor } from '../../contracts/run.ts';

const actors: readonly TransitionActor[] = ['operator', 'agent', 'launcher', 'system'];

/** Every legal move there is; what is not in here is not legal. */
const table: readonly (readonly [from: RunState, actor: TransitionActor, to: readonly RunState[]])[] = [
  ['Queued', 'system', ['Active', 'Failed']],
  ['Queued', 'operator', ['Cancelled']],
  ['Active', 'agent', ['Done', 'Failed']],
  ['Active', 'launcher', ['Done', 'Failed']],
  ['Active', 'system', ['Failed']],
  ['Active', 'operator', ['Cancelled']],
];

test('who may move a run where', (t) => {
  for (const from of runStates) {
    for (const actor of actors) {
      const expected = table.find(([state, by]) => state === from && by === actor)?.[2] ?? [];
      t.deepEqual(legalTransitions(from, actor), expected, `${from} by ${actor}`);
    }
  }
});

test('nobody moves a run out of a terminal state, and one can be reached from every other that is in use', (t) => {
  t.deepEqual(runStates.filter(isTerminal), ['Done', 'Failed', 'Cancelled']);
  for (const state of runStates.filter(isTerminal)) for (const actor of actors) t.deepEqual(legalTransitions(state, actor), []);
  for (const state of ['Queued', 'Active'] as const) t.true(actors.some((actor) => legalTransitions(state, actor).some(isTerminal)));
});

test('any series of legal moves ends, in a terminal state', (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom(...actors), fc.nat()), { minLength: 50, maxLength: 50 }), (moves) => {
    let state: RunState = 'Queued';
    let steps = 0;
    for (const [actor, choice] of moves) {
      const legal = legalTransitions(state, actor);
      if (legal.length === 0) continue;
      t.false(isTerminal(state));
      state = legal[choice % legal.length]!;
      steps++;
    }
    t.true(steps <= 2);
  }));
});
