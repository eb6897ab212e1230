import type { Decision, Reason } from '../../contracts/decision.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { formatAuthority } from '../../contracts/host.ts';
import { interceptStep, verdictOf, whyStep } from '../../contracts/verdict.ts';
import { coreDenial, denialOf, type Denial } from '../denial.ts';
import type { Egress } from '../describe/egress.ts';
import type { LiveRun } from '../runs.ts';

/** A decision against the egress of a run as a refusal. `address` is what was judged where it is about one. */
export function denialByDecision(decision: Decision, { snapshot }: LiveRun, egress: Egress, address?: string): Denial {
  const { reasons } = decision;
  const { effect, code, detail, next_steps } = verdictOf(decision, egress, { policy: snapshot.policy, address });
  switch (code) {
    case 'approval_required': case 'policy_denied': {
      const problem = new SallyportError(code, detail);
      const steps = next_steps.length === 0 ? [problem.entry.next] : next_steps;
      return { ...denialOf(problem, { reasons, default: decision.default, address, next_steps: [...steps, whyStep(egress)] }), effect };
    }
    default:
      return coreDenial(code, detail, { reasons, address, next_steps });
  }
}

export function needsInterception(egress: Egress, reasons: readonly Reason[]): Denial {
  const { host, port } = egress;
  return denialOf(new SallyportError('needs_interception', `The bytes inside a tunnel to ${formatAuthority(host, port)} cannot be judged, and policy allows this host only where they are.`), {
    reasons, next_steps: [interceptStep(egress), whyStep({ ...egress, act: 'connect' })],
  });
}
