import { SallyportError } from '../../contracts/errors.ts';
import { coreDenial, denialOf, type Denial } from '../denial.ts';
import type { Egress } from '../describe/egress.ts';
import { webSocket } from '../describe/upgrade.ts';
import type { Judgement } from '../record/egress-events.ts';
import type { LiveRun } from '../runs.ts';
import { arm, type Armed } from './obligations.ts';
import { denialByDecision, needsInterception } from './verdict.ts';

export type Admission =
  | { readonly kind: 'denied'; readonly denial: Denial }
  /** A CONNECT whose inside is judged request by request; `intercept`: inside its TLS, too. */
  | { readonly kind: 'inside'; readonly intercept: boolean }
  /** `observed`: let through only because the run is observed; this is what would have been answered. */
  | { readonly kind: 'admitted'; readonly armed: Armed; readonly observed: 'deny' | 'require_approval' | null };

/** TLS is what comes through there. */
const tlsPort = 443;

/** What a decision means for this egress, before any address is looked at. Throws `policy_invalid_decision`. */
export function admit(run: LiveRun, egress: Egress, judgement: Judgement): Admission {
  const { decision } = judgement;
  let observed = observedEffect(run, judgement);
  if (decision.effect !== 'allow' && observed === null) return { kind: 'denied', denial: denialByDecision(decision, run, egress) };
  const backstop = refusedInCode(egress);
  if (backstop !== undefined) return { kind: 'denied', denial: backstop };
  const armed = arm(decision.obligations);
  if (egress.act === 'connect' && !armed.passthrough) {
    const { intercept } = run.snapshot.policy;
    if (intercept || egress.port !== tlsPort) return { kind: 'inside', intercept };
    if (run.snapshot.policy.mode !== 'observe') return { kind: 'denied', denial: needsInterception(egress, decision.reasons) };
    observed ??= 'deny';
  }
  // What passes after the switch is bytes of any protocol.
  if (egress.upgrade !== undefined && egress.upgrade !== webSocket && !armed.raw) {
    return { kind: 'denied', denial: denialOf(new SallyportError('not_supported', `Switching to ${egress.upgrade} is not supported here.`)) };
  }
  return { kind: 'admitted', armed, observed };
}

/** What `core` denies by policy is refused here as well, should a pack ever be wrong about it. */
function refusedInCode(egress: Egress): Denial | undefined {
  if (egress.host_mismatch) {
    return coreDenial('core.host_mismatch', 'The host was given differently in the target and in the Host field.', { next_steps: ['Name the same host and port in the target and in the Host field.'] });
  }
  if (egress.own_name) return coreDenial('core.self_address', 'This name belongs to the proxy and its control plane; a run may not reach them that way.', { next_steps: ['Nothing can allow this; leave it.'] });
  return undefined;
}

/** In `observe` mode a run is let through and what would have happened is recorded; what `core` denies by a rule stays denied. */
function observedEffect({ snapshot }: LiveRun, { decision }: Judgement): 'deny' | 'require_approval' | null {
  if (decision.effect === 'allow' || snapshot.policy.mode !== 'observe') return null;
  const byCore = decision.reasons.some(({ effect, pack, rule }) => effect === 'deny' && pack === 'core' && rule !== 'core.default_deny');
  return byCore ? null : decision.effect;
}
