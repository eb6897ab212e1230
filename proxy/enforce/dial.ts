import type { Clock } from '../../contracts/clock.ts';
import type { RunSnapshot } from '../../contracts/data-plane.ts';
import { judgeDial } from '../decide/judge.ts';
import type { Decide } from '../decide/question.ts';
import { coreDenial, type Denial } from '../denial.ts';
import type { Egress } from '../describe/egress.ts';
import type { Judgement } from '../record/egress-events.ts';
import type { LiveRun } from '../runs.ts';
import type { Candidates } from './addresses.ts';
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

export interface DialPolicy {
  readonly decide: Decide;
  readonly revision: () => string;
  /** Whether the answer depends on run and place alone (decide/policy.ts). */
  readonly isOfPlace: () => boolean;
}

interface Known {
  readonly candidates: Candidates;
  readonly revision: string;
}

/** Places that one run's snapshot remembers. */
const knownMax = 256;

/** The `dial` decision on every address of a place. */
export class DialRules {
  readonly #policy: DialPolicy;
  readonly #clock: Clock;
  /** Places whose addresses may all be dialled, by the run's snapshot as it was then. */
  readonly #allowed = new WeakMap<RunSnapshot, Map<string, Known>>();

  constructor(policy: DialPolicy, clock: Clock) {
    this.#policy = policy;
    this.#clock = clock;
  }

  /** Of the policy in force. */
  get revision(): string { return this.#policy.revision(); }

  /** Undefined when every address may be dialled: one that may not refuses them all, since which one a client gets is chance. */
  refused(run: LiveRun, egress: Egress, candidates: Candidates): DialRefusal | undefined {
    const { revision, isOfPlace } = this.#policy;
    if (!isOfPlace()) return this.#judge(run, egress, candidates);
    const places = this.#allowed.get(run.snapshot) ?? new Map<string, Known>();
    const place = `${egress.scheme} ${egress.authority}`;
    const known = places.get(place);
    if (known !== undefined && known.candidates === candidates && known.revision === revision()) return undefined;
    const refusal = this.#judge(run, egress, candidates);
    if (refusal !== undefined) return refusal;
    if (places.size >= knownMax) places.clear();
    places.set(place, { candidates, revision: revision() });
    this.#allowed.set(run.snapshot, places);
    return undefined;
  }

  #judge(run: LiveRun, egress: Egress, { addresses }: Candidates): DialRefusal | undefined {
    for (const address of addresses) {
      const judgement = judgeDial(this.#policy.decide, run, egress, address, this.#clock);
      if (judgement.decision.effect !== 'allow') return { denial: denialByDecision(judgement.decision, run, egress, address.address), judgement };
      const never = neverDialled[address.address_class];
      if (never !== undefined) return { denial: coreDenial(never.rule, never.detail, { address: address.address, next_steps: ['Nothing can allow this; leave it.'] }), judgement: undefined };
    }
    return undefined;
  }
}
