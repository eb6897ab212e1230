import type { Clock } from '../../contracts/clock.ts';
import { judgeDial, type Decide } from '../decide/judge.ts';
import { coreDenial, type Denial } from '../denial.ts';
import type { Egress } from '../describe/egress.ts';
import type { Judgement } from '../record/egress-events.ts';
import type { LiveRun } from '../runs.ts';
import type { PermittedAddress } from './permit.ts';
import { denialByDecision } from './verdict.ts';

/** Never dialled, whatever policy says: a faulty pack must not open the way to them. */
const neverDialled: Readonly<Record<string, { readonly rule: `core.${string}`; readonly detail: string }>> = {
  metadata: { rule: 'core.metadata_address', detail: 'This address serves cloud credentials; it is never reachable from a run.' },
  self: { rule: 'core.self_address', detail: 'This address belongs to the proxy or its control plane; a run may not reach them.' },
};

export interface DialRefusal {
  readonly denial: Denial;
  readonly judgement: Judgement | undefined;
}

/** Undefined when every address may be dialled: one that may not refuses them all, since which one a client gets is chance. */
export function refusedAddress(decide: Decide, run: LiveRun, egress: Egress, addresses: readonly PermittedAddress[], clock: Clock): DialRefusal | undefined {
  for (const address of addresses) {
    const never = neverDialled[address.address_class];
    const judgement = judgeDial(decide, run, egress, address, clock);
    if (judgement.decision.effect !== 'allow') return { denial: denialByDecision(judgement.decision, egress, address.address), judgement };
    if (never !== undefined) return { denial: coreDenial(never.rule, never.detail, { address: address.address, next_steps: ['Nothing can allow this; leave it.'] }), judgement: undefined };
  }
  return undefined;
}
