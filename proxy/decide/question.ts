import type { RunSnapshot } from '../../contracts/data-plane.ts';
import type { PolicyInput } from '../../contracts/policy-input.ts';
import type { Judgement } from '../record/egress-events.ts';

/** An act to be decided. */
export interface Question {
  readonly snapshot: RunSnapshot;
  /**
   * Names the act within its snapshot as far as policy reads no more than run, place, method, path and signals: two questions with the same
   * key then differ only in what is not read. `isNamedByKey` says whether that holds.
   */
  readonly key: string;
  /** Throws `not_supported` for what exceeds a bound. */
  readonly input: () => PolicyInput;
}

/** Asks policy. Throws `no_policy`, `engine_error` or `policy_invalid_decision`. */
export type Decide = (question: Question) => Judgement;

/** Of the input, all that a snapshot and a key settle (judge.ts); what is not here differs from request to request. */
const settled: ReadonlySet<string> = new Set(['v', 'act', 'purpose', 'run', 'step', 'destination', 'tls', 'capability', 'message', 'signals', 'budget', 'grants']);
const settledOfRequest: ReadonlySet<string> = new Set(['method', 'path', 'segments']);

/** Whether a policy that reads these paths of its input can't tell two questions with the same snapshot and key apart. */
export function isNamedByKey(inputPaths: readonly (readonly string[])[]): boolean {
  return inputPaths.every(([first, second]) => first !== undefined && (settled.has(first) || (first === 'request' && second !== undefined && settledOfRequest.has(second))));
}
