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

/**
 * Whether a live exchange would still get its permit, by the policy and the run as they are now; undefined when it would. `raw`: it is a
 * tunnel through which any bytes may pass.
 */
export function rejudge({ clock, decide, own, dialRules }: RejudgeContext, run: LiveRun, egress: Egress, candidates: Candidates, raw: boolean): StopReason | undefined {
  try {
    const admission = admit(run, egress, judge(decide, run, egress, own, clock));
    if (admission.kind === 'denied') return admission.denial;
    if (admission.kind === 'inside') return { code: 'needs_interception', detail: 'Policy no longer lets the bytes of this tunnel pass unseen.' };
    // What has passed is not looked at again, so a tunnel that began when any bytes could pass counts as one that carries them.
    if (raw && !admission.armed.raw) return { code: 'not_supported', detail: 'Policy now lets nothing but TLS pass through this tunnel.' };
    return dialRules.refused(run, egress, candidates)?.denial;
  } catch (error) {
    // What can't be judged is not let go on.
    return reasonOf(toSallyportError(error));
  }
}
