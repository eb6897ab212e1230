import type { Decision, Reason } from '../../contracts/decision.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { formatAuthority } from '../../contracts/host.ts';
import { coreDenial, denialOf, type Denial } from '../denial.ts';
import type { Egress } from '../describe/egress.ts';

/** Of several rules of `core` that deny, the first of these names the refusal. */
const coreOrder: readonly string[] = ['core.metadata_address', 'core.self_address', 'core.host_mismatch', 'core.non_public_address'];
const defaultDeny = 'core.default_deny';

/** A decision against the egress as a refusal. `address` is what was judged where it is about one. */
export function denialByDecision(decision: Decision, egress: Egress, address?: string): Denial {
  const { reasons } = decision;
  if (decision.effect === 'require_approval') {
    return { ...denialOf(new SallyportError('approval_required', sentence(firstOf(reasons, 'require_approval')))), effect: 'require_approval', reasons };
  }
  const denying = reasons.filter(({ effect }) => effect === 'deny');
  const core = denying.filter(({ pack, rule }) => pack === 'core' && rule !== defaultDeny).sort((a, b) => rank(a) - rank(b))[0];
  if (core !== undefined) {
    return coreDenial(core.rule as `core.${string}`, sentence(core), { reasons, address, next_steps: stepsFor(core.rule, address) });
  }
  const detail = denying.length === 0 ? 'Nothing allows this.' : sentence(denying.find(({ visible_to_agent }) => visible_to_agent));
  const next_steps = decision.default ? [`Ask the operator to allow it: ${allowFlag(egress)}. Another route will be refused as well.`] : undefined;
  return denialOf(new SallyportError('policy_denied', detail), { reasons, default: decision.default, address, ...(next_steps !== undefined && { next_steps }) });
}

export function needsInterception(egress: Egress, reasons: readonly Reason[]): Denial {
  const { host, port } = egress;
  return denialOf(new SallyportError('needs_interception', `The bytes inside a tunnel to ${formatAuthority(host, port)} cannot be judged, and policy allows this host only where they are.`), {
    reasons, next_steps: [`Ask the operator to allow it as an opaque tunnel: --allow ${formatAuthority(host, port)}:TUNNEL.`],
  });
}

/** The option that would allow exactly this. */
function allowFlag({ act, host, port, method }: Egress): string {
  return `--allow ${formatAuthority(host, port)}:${act === 'request' ? method : 'TUNNEL'}`;
}

function stepsFor(rule: string, address: string | undefined): readonly string[] {
  switch (rule) {
    case 'core.non_public_address': return [`Ask the operator to allow its range${address === undefined ? '' : `: --allow-address ${address}`}.`];
    case 'core.host_mismatch': return ['Name the same host and port in the target and in the Host field.'];
    default: return ['Nothing can allow this; leave it.'];
  }
}

function rank({ rule }: Reason): number {
  const index = coreOrder.indexOf(rule);
  return index === -1 ? coreOrder.length : index;
}

function firstOf(reasons: readonly Reason[], effect: Reason['effect']): Reason | undefined {
  return reasons.find((reason) => reason.effect === effect && reason.visible_to_agent);
}

function sentence(reason: Reason | undefined): string {
  if (reason === undefined || reason.message === '') return 'Policy denies this.';
  const { message } = reason;
  return `${message[0]!.toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'}`;
}
