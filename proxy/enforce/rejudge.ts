import type { Clock } from '../../contracts/clock.ts';
import { toSallyportError } from '../../contracts/errors.ts';
import { judge } from '../decide/judge.ts';
import type { Decide } from '../decide/question.ts';
import type { Egress } from '../describe/egress.ts';
import type { OwnAddresses } from '../describe/own-addresses.ts';
import type { LiveRun } from '../runs.ts';
import type { Candidates } from './addresses.ts';
import { admit } from './admission.ts';
import type { DialRules } from './dial.ts';
import { reasonOf, type StopReason } from './stop.ts';

export interface RejudgeContext {
  readonly clock: Clock;
  readonly decide: Decide;
  readonly own: OwnAddresses;
  readonly dialRules: DialRules;
}

/** Whether a live exchange would still get its permit, by the policy and the run as they are now; undefined when it would. */
export function rejudge({ clock, decide, own, dialRules }: RejudgeContext, run: LiveRun, egress: Egress, candidates: Candidates): StopReason | undefined {
  try {
    const admission = admit(run, egress, judge(decide, run, egress, own, clock));
    if (admission.kind === 'denied') return admission.denial;
    if (admission.kind === 'inside') return { code: 'needs_interception', detail: 'Policy no longer lets the bytes of this tunnel pass unseen.' };
    return dialRules.refused(run, egress, candidates)?.denial;
  } catch (error) {
    // What can't be judged is not let go on.
    return reasonOf(toSallyportError(error));
  }
}
