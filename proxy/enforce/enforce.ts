import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { coreDenial, denialOf, type Denial } from '../denial.ts';
import type { Egress } from '../describe/egress.ts';
import type { Exchange } from '../exchange.ts';
import type { Caller } from '../identify/identify.ts';
import { standing, staleEpoch } from '../identify/rules.ts';
import type { EventWriter, Judgement, Subject } from '../record/egress-events.ts';
import type { Journal } from '../record/journal.ts';
import type { AddressBook } from './addresses.ts';
import type { DialRules } from './dial.ts';
import { arm } from './obligations.ts';
import { makePermit, type Permit, type PermittedAddress, type StopReason } from './permit.ts';
import { PermitSpending } from './permit-spending.ts';
import { denialByDecision, needsInterception } from './verdict.ts';

export interface EnforceContext {
  readonly clock: Clock;
  readonly addresses: AddressBook;
  readonly dialRules: DialRules;
  readonly journal: Journal;
  readonly events: EventWriter;
  /** Why nothing can be decided at present. */
  readonly unready: () => SallyportError | undefined;
}

/** A permit, and what has to be settled when its exchange is over. */
export interface Granted {
  readonly kind: 'permit';
  readonly permit: Permit;
  readonly decided_id: string;
  readonly spending: PermitSpending;
  /** To be called once, when nothing flows any more. */
  readonly finish: () => void;
}

export type Enforced =
  | Granted
  /** A CONNECT whose inside is judged request by request; it costs nothing and dials nothing by itself. */
  | { readonly kind: 'inside' }
  | { readonly kind: 'denied'; readonly denial: Denial; readonly judgement: Judgement | undefined };

/** TLS is what comes through there, and we can't look into it. */
const tlsPort = 443;

/** Turns an allow into a permit: obligations, addresses, one request of the budget, and the record, in this order. */
export async function enforce(context: EnforceContext, subject: Subject, exchange: Exchange, caller: Caller, egress: Egress, judgement: Judgement): Promise<Enforced> {
  const { run, epoch } = caller;
  const { clock, journal, events } = context;
  let observed = observedEffect(caller, judgement);
  const denied = (denial: Denial, by: Judgement | undefined = judgement): Enforced => ({ kind: 'denied', denial, judgement: by });

  const backstop = refusedInCode(egress);
  if (judgement.decision.effect !== 'allow' && observed === null) return denied(denialByDecision(judgement.decision, egress));
  if (backstop !== undefined) return denied(backstop);

  const { passthrough } = arm(judgement.decision.obligations);
  if (egress.act === 'connect' && !passthrough && egress.port !== tlsPort) return { kind: 'inside' };
  if (egress.act === 'connect' && !passthrough) {
    if (run.snapshot.policy.mode !== 'observe') return denied(needsInterception(egress, judgement.decision.reasons));
    observed ??= 'deny';
  }

  const found = context.addresses.find(run, egress);
  const candidates = found instanceof Promise ? await found : found;
  const { addresses } = candidates;
  const inTheWay = context.dialRules.refused(run, egress, candidates);
  if (inTheWay !== undefined) return denied(inTheWay.denial, inTheWay.judgement);

  const reserving = run.spending.reserveRequest();
  const short = reserving instanceof Promise ? await reserving : reserving;
  if (short !== undefined) return denied(denialOf(short, { meter: short.code === 'budget_exhausted' ? 'requests' : undefined }));

  // From here on a cancelled run reaches this exchange by the signal, wherever it is.
  const controller = run.begin();
  const valid = (): SallyportError | undefined => context.unready() ?? (run.snapshot.epoch === epoch ? standing(run.snapshot, clock.now()) : staleEpoch());
  const giveUp = (problem: unknown): void => {
    run.finish(controller);
    run.spending.giveBack('requests', 1);
    throw problem;
  };
  const changed = valid();
  if (changed !== undefined) giveUp(changed);
  const line = events.decided(subject, exchange, egress, judgement, addresses, observed);
  try {
    await journal.append(line.text, { egress_id: subject.egress_id, run_id: run.run_id });
  } catch (error) {
    giveUp(error);
  }

  const spending = new PermitSpending(run.spending, controller);
  const permit = makePermit({
    egress_id: subject.egress_id,
    run_id: run.run_id,
    kind: egress.act === 'connect' ? 'tunnel' : 'http',
    host: egress.host,
    port: egress.port,
    authority: egress.authority,
    method: egress.method,
    target: egress.target ?? '',
    addresses,
    pool_key: poolKey(run.run_id, egress, addresses),
    spending: {
      take: (meter, units) => spending.take(meter, units),
      giveBack: (meter, units) => spending.giveBack(meter, units),
      more: (meter, units) => spending.more(meter, units),
    },
    stop: controller.signal,
    stillValid: () => {
      const problem = controller.signal.aborted ? undefined : valid();
      if (problem !== undefined) controller.abort({ code: problem.code, detail: problem.message } satisfies StopReason);
      return !controller.signal.aborted;
    },
    anotherTry: async () => {
      if (valid() !== undefined || await run.spending.reserveRequest() !== undefined) return false;
      try {
        await journal.append(events.retried(subject, line.event_id).text);
        return true;
      } catch {
        run.spending.giveBack('requests', 1);
        return false;
      }
    },
  });
  return { kind: 'permit', permit, decided_id: line.event_id, spending, finish: () => run.finish(controller) };
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
function observedEffect({ run }: Caller, { decision }: Judgement): 'deny' | 'require_approval' | null {
  if (decision.effect === 'allow' || run.snapshot.policy.mode !== 'observe') return null;
  const byCore = decision.reasons.some(({ effect, pack, rule }) => effect === 'deny' && pack === 'core' && rule !== 'core.default_deny');
  return byCore ? null : decision.effect;
}

function poolKey(runId: string, { host, port }: Egress, addresses: readonly PermittedAddress[]): string {
  return `${runId} ${host}:${port} ${addresses[0]?.address_class}`;
}

