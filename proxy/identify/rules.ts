import { isTerminal } from '../../contracts/run.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { RunSnapshot } from '../../contracts/data-plane.ts';

/** Why a run may not send at present; undefined when it may. */
export function standing(run: RunSnapshot, now: number): SallyportError | undefined {
  if (isTerminal(run.state)) return ended();
  if (run.state !== 'Active') return new SallyportError('run_paused', `The run is not active (${run.state}).`);
  if (now >= run.deadline_at) return outOfTime();
  return undefined;
}

export function ended(): SallyportError {
  return new SallyportError('run_ended', 'The run has ended.');
}

export function outOfTime(): SallyportError {
  return new SallyportError('budget_exhausted', 'The time of this run is used up.');
}

export function staleEpoch(): SallyportError {
  return new SallyportError('stale_epoch', 'These credentials belong to an earlier start of this run.');
}
