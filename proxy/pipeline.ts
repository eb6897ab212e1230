import type { Clock } from '../contracts/clock.ts';
import type { Reason } from '../contracts/decision.ts';
import { SallyportError, toSallyportError } from '../contracts/errors.ts';
import { newId } from '../contracts/ids.ts';
import type { Refused } from './accept/refused.ts';
import { judge } from './decide/judge.ts';
import { denialOf, refusalByDenial, type Denial } from './denial.ts';
import { describe } from './describe/describe.ts';
import type { Egress } from './describe/egress.ts';
import { enforce, type EnforceContext, type Granted } from './enforce/enforce.ts';
import type { Outcome, Permit } from './enforce/permit.ts';
import type { Exchange, Refusal } from './exchange.ts';
import type { FailedAttempts } from './identify/attempts.ts';
import { attributionOf, identify, type Caller, type IdentifyContext } from './identify/identify.ts';
import { isInternal } from './internal/rules.ts';
import type { Judgement, Subject } from './record/egress-events.ts';
import { signals } from './signals.ts';

export interface PipelineContext extends EnforceContext, IdentifyContext {
  readonly clock: Clock;
  readonly unready: () => SallyportError | undefined;
  /** By run: who floods us with what is refused anyway is not recorded one by one. */
  readonly refusals: FailedAttempts;
  readonly forward: (permit: Permit, exchange: Exchange) => Promise<Outcome>;
  /** Answers what goes to the control plane. */
  readonly serveInternal: (exchange: Exchange, caller: Caller, egress: Egress) => Promise<void>;
  /** Reads requests inside a CONNECT, and inside its TLS where that is looked into, and brings each one back here. */
  readonly acceptInside: (exchange: Exchange, egress: Egress, caller: Caller, intercept: boolean, denied: (denial: Denial) => void) => void;
  /** Opens the tunnel of a refused CONNECT, and answers with the refusal what comes through it. */
  readonly refuseInside: (exchange: Exchange, egress: Egress, caller: Caller, refusal: Refusal) => void;
}

/**
 * The way of a request. `accept/` has read it; every exit is one refusal with its `egress.denied`, or `egress.decided` followed by
 * exactly one of completed, failed and cut. A denial is a value; what is thrown is a fault and becomes a refusal too.
 */
export async function handle(context: PipelineContext, exchange: Exchange): Promise<void> {
  const began = context.clock.monotonic();
  const state: Progress = { egress_id: newId('egress', context.clock.now()), caller: undefined, entered: false, egress: undefined, judgement: undefined };
  try {
    const identity = identify(exchange, context);
    if (identity.kind === 'refused') {
      const asked = identity.caller === undefined ? undefined : readable(exchange);
      // A run that is paused or has no policy may still ask why.
      if (asked !== undefined && isInternal(asked)) return await internal(context, exchange, identity.caller!, asked);
      const subject: Subject = { egress_id: state.egress_id, attribution: identity.attribution, assurance: undefined };
      return refuse(context, exchange, subject, asked, denialOf(identity.problem), undefined, identity);
    }
    const caller = state.caller = identity.caller;
    const egress = state.egress = describe(exchange);
    if (isInternal(egress)) return await internal(context, exchange, caller, egress);
    caller.run.enter();
    state.entered = true;
    const judgement = state.judgement = judge(context.decide, caller.run, egress, context.own, context.clock);
    const enforced = await enforce(context, subjectOf(state), exchange, caller, egress, judgement);
    switch (enforced.kind) {
      case 'denied':
        return refuse(context, exchange, subjectOf(state), egress, enforced.denial, enforced.judgement, state);
      case 'inside':
        permitted(judgement, 'inside', false, 0);
        return context.acceptInside(exchange, egress, caller, enforced.intercept, (denial) => { record(context, exchange, subjectOf(state), egress, denial, judgement); });
      case 'permit':
        permitted(judgement, enforced.permit.kind, enforced.waited, context.clock.monotonic() - began);
        return settle(context, subjectOf(state), enforced, await forwarded(context, enforced, exchange));
    }
  } catch (error) {
    const problem = toSallyportError(error);
    if (problem.code === 'internal') signals.fault.publish({ where: 'pipeline', error: problem });
    refuse(context, exchange, subjectOf(state), state.egress, denialOf(problem), state.judgement, state);
  } finally {
    if (state.entered) state.caller?.run.leave();
  }
}

/**
 * Records what `accept/` refuses by itself: a request whose form is not handled, or that cannot be read. Gives the id of the record;
 * undefined where it is nobody's, since whoever brings no credentials could fill the record with it.
 */
export function recordRefused(context: PipelineContext, { source, inside, code, detail, head }: Refused): string | undefined {
  const read = head ?? { method: '', target: '', version: '1.1', headers: [], framing: { kind: 'none' }, expects_continue: false, upgrade: undefined };
  const request = { source, form: inside ?? { kind: 'absolute' }, head: read } as const;
  const identity = identify(request, context);
  const attribution = identity.kind === 'caller' ? attributionOf(identity.caller.run) : identity.attribution;
  if (attribution === undefined) return undefined;
  const egress_id = newId('egress', context.clock.now());
  const subject = identity.kind === 'caller' ? subjectOf({ egress_id, caller: identity.caller }) : { egress_id, attribution, assurance: undefined };
  return record(context, request, subject, undefined, denialOf(new SallyportError(code, detail)), undefined) ? egress_id : undefined;
}

/** How far an exchange has come, for the record of its refusal. */
interface Progress {
  readonly egress_id: string;
  caller: Caller | undefined;
  /** It counts among those that its run has under way. */
  entered: boolean;
  egress: Egress | undefined;
  judgement: Judgement | undefined;
}

function subjectOf({ egress_id, caller }: Pick<Progress, 'egress_id' | 'caller'>): Subject {
  if (caller === undefined) return { egress_id, attribution: undefined, assurance: undefined };
  const { attribution, snapshot: { channel } } = caller.run;
  return { egress_id, attribution, assurance: channel === 'jail' ? 'jailed' : 'cooperative' };
}

/** The agent's way to the control plane: neither judged nor metered nor recorded. */
async function internal(context: PipelineContext, exchange: Exchange, caller: Caller, egress: Egress): Promise<void> {
  if (egress.act === 'request') return await context.serveInternal(exchange, caller, egress);
  context.acceptInside(exchange, egress, caller, false, () => { /* What else may come through there is closed without a word. */ });
}

function readable(exchange: Exchange): Egress | undefined {
  try {
    return describe(exchange);
  } catch {
    // What can't be read goes nowhere; it is refused for what the run is.
    return undefined;
  }
}

/** `recorded: false`: neither recorded nor counted. A known caller is told inside the tunnel, where its TLS is looked into. */
function refuse(
  context: PipelineContext, exchange: Exchange, subject: Subject, egress: Egress | undefined, denial: Denial, judgement: Judgement | undefined,
  { recorded = true, caller }: { readonly recorded?: boolean; readonly caller?: Caller | undefined },
): void {
  const flood = recorded && !record(context, exchange, subject, egress, denial, judgement);
  const told = flood ? denialOf(new SallyportError('rate_limited', 'This run makes too many requests that are refused.', { retry_after: 1 })) : denial;
  const refusal = refusalByDenial(told, subject.egress_id);
  // Who floods us is not worth a handshake.
  if (!flood && egress?.act === 'connect' && caller?.run.snapshot.policy.intercept === true && !exchange.gone.aborted) context.refuseInside(exchange, egress, caller, refusal);
  else exchange.refuse(refusal);
}

/** False where the run makes so many refusals that they are only counted. */
function record({ events, journal, refusals }: PipelineContext, exchange: Pick<Exchange, 'head' | 'form'>, subject: Subject, egress: Egress | undefined, denial: Denial, judgement: Judgement | undefined): boolean {
  const run_id = subject.attribution?.run_id;
  if (run_id !== undefined && !refusals.failed(run_id)) {
    journal.omit();
    return false;
  }
  journal.note(events.denied(subject, exchange, egress, denial, judgement).text);
  if (signals.denied.hasSubscribers) {
    const { code, effect, reasons } = denial;
    signals.denied.publish({ egress_id: subject.egress_id, run_id, code, effect, rule: code.startsWith('core.') ? code : ruleOf(reasons, effect) });
  }
  return true;
}

function permitted({ decision: { effect, reasons } }: Judgement, act: 'http' | 'tunnel' | 'inside', waited: boolean, added_ms: number): void {
  if (signals.permitted.hasSubscribers) signals.permitted.publish({ act, effect, rule: ruleOf(reasons, effect) ?? '', waited, added_ms });
}

/** The first rule that gave the effect. */
function ruleOf(reasons: readonly Reason[], effect: Denial['effect'] | Reason['effect']): string | undefined {
  return reasons.find((reason) => reason.effect === effect)?.rule;
}

/** What became of the exchange. `forward/` gives an outcome for all that can happen; should it ever throw, what it took counts as passed. */
async function forwarded({ forward, clock }: PipelineContext, { permit, spending }: Granted, exchange: Exchange): Promise<Outcome> {
  const began = clock.monotonic();
  try {
    return await forward(permit, exchange);
  } catch (error) {
    const problem = toSallyportError(error);
    signals.fault.publish({ where: 'forward', error: problem });
    if (exchange.transfer.answered) exchange.transfer.abort();
    else exchange.refuse(refusalByDenial(denialOf(problem), permit.egress_id));
    return {
      kind: 'failed', status: undefined, response_headers: [], address: undefined, ...spending.taken,
      first_byte_ms: undefined, duration_ms: clock.monotonic() - began, code: problem.code,
    };
  }
}

function settle({ events, journal }: PipelineContext, subject: Subject, granted: Granted, outcome: Outcome): void {
  const unpaid = granted.spending.settle(outcome);
  if (unpaid > 0) signals.fault.publish({ where: 'metering', error: new SallyportError('internal', `${unpaid} bytes of ${subject.egress_id} passed without having been taken.`) });
  journal.note(events.ended(subject, granted.decided_id, outcome).text, granted.open);
  granted.finish();
  if (signals.ended.hasSubscribers) {
    const { kind, code, bytes_out, bytes_in, first_byte_ms } = outcome;
    signals.ended.publish({ egress_id: subject.egress_id, run_id: subject.attribution?.run_id, act: granted.permit.kind, kind, code, bytes_out, bytes_in, first_byte_ms });
  }
}
