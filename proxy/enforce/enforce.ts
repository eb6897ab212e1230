import { SallyportError } from '../../contracts/errors.ts';
import { denialOf, type Denial } from '../denial.ts';
import type { Egress } from '../describe/egress.ts';
import type { Exchange } from '../exchange.ts';
import type { Caller } from '../identify/identify.ts';
import { standing, staleEpoch } from '../identify/rules.ts';
import type { EventWriter, Judgement, Subject } from '../record/egress-events.ts';
import type { Journal } from '../record/journal.ts';
import { OpenExchange } from '../record/open-exchanges.ts';
import type { AddressBook, Candidates } from './addresses.ts';
import { admit } from './admission.ts';
import { makePermit, type Permit, type PermittedAddress } from './permit.ts';
import { PermitSpending } from './permit-spending.ts';
import { rejudge, type RejudgeContext } from './rejudge.ts';
import { reasonOf, type Stop } from './stop.ts';

export interface EnforceContext extends RejudgeContext {
  readonly addresses: AddressBook;
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
  /** To be closed by the record of its end. */
  readonly open: OpenExchange;
  /** The control plane had to be asked for the unit of `requests`. */
  readonly waited: boolean;
  /** To be called once, when nothing flows any more. */
  readonly finish: () => void;
}

export type Enforced =
  | Granted
  /** A CONNECT whose inside is judged request by request; it costs nothing and dials nothing by itself. */
  | { readonly kind: 'inside'; readonly intercept: boolean }
  | { readonly kind: 'denied'; readonly denial: Denial; readonly judgement: Judgement | undefined };

/** Turns an allow into a permit: obligations, one request of the budget, addresses, and the record, in this order. */
export async function enforce(context: EnforceContext, subject: Subject, exchange: Exchange, caller: Caller, egress: Egress, judgement: Judgement): Promise<Enforced> {
  const { run, epoch } = caller;
  const { clock, journal, events } = context;
  const denied = (denial: Denial, by: Judgement | undefined = judgement): Enforced => ({ kind: 'denied', denial, judgement: by });
  const { snapshot } = run;
  const admission = admit(run, egress, judgement);
  if (admission.kind === 'denied') return denied(admission.denial);
  if (admission.kind === 'inside') return admission;

  // Before any name is looked up: with a budget that is used up nothing leaves, names below an allowed suffix included.
  const reserving = run.spending.reserveRequest();
  const short = reserving instanceof Promise ? await reserving : reserving;
  if (short !== undefined) return denied(denialOf(short, { meter: short.code === 'budget_exhausted' ? 'requests' : undefined }));

  // From here on a cancelled run reaches this exchange by the signal, wherever it is.
  const stop = run.begin();
  const letGo = (): void => {
    run.finish(stop);
    run.spending.giveBack('requests', 1);
  };
  const valid = (): SallyportError | undefined => context.unready() ?? (run.snapshot.epoch === epoch ? standing(run.snapshot, clock.now()) : staleEpoch());
  let candidates: Candidates;
  try {
    const found = context.addresses.find(run, egress);
    candidates = found instanceof Promise ? await unlessStopped(found, stop, valid) : found;
    const inTheWay = context.dialRules.refused(run, egress, candidates);
    if (inTheWay !== undefined) {
      letGo();
      return denied(inTheWay.denial, inTheWay.judgement);
    }
    const changed = valid();
    if (changed !== undefined) throw changed;
  } catch (error) {
    letGo();
    throw error;
  }
  const { addresses } = candidates;
  const raw = egress.act === 'connect' && admission.armed.raw;
  stop.rejudge = () => rejudge(context, run, egress, candidates, raw);
  // Policy or run may have become another one while this exchange waited: whoever forwards looks at the signal first.
  if (run.snapshot !== snapshot || context.dialRules.revision !== judgement.revision) {
    const reason = stop.rejudge();
    if (reason !== undefined) stop.stop(reason);
  }
  const open = new OpenExchange(subject.egress_id, run.run_id);
  // Named one by one: closures below live as long as the exchange, and would keep the whole record.
  const { event_id, text } = events.decided(subject, exchange, egress, judgement, addresses, admission.observed);
  try {
    await journal.append(text, open);
  } catch (error) {
    letGo();
    throw error;
  }

  const spending = new PermitSpending(run.spending, stop);
  const permit = makePermit({
    egress_id: subject.egress_id,
    run_id: run.run_id,
    kind: egress.act === 'connect' ? 'tunnel' : 'http',
    scheme: egress.scheme ?? 'http',
    host: egress.host,
    port: egress.port,
    authority: egress.authority,
    method: egress.method,
    target: egress.target ?? '',
    upgrade: egress.upgrade,
    raw: admission.armed.raw,
    addresses,
    pool_key: poolKey(run.run_id, egress, addresses),
    spending,
    stop,
    stillValid: () => {
      const problem = stop.reason === undefined ? valid() : undefined;
      if (problem !== undefined) stop.stop(reasonOf(problem));
      return stop.reason === undefined;
    },
    anotherTry: async () => {
      if (valid() !== undefined || await run.spending.reserveRequest() !== undefined) return false;
      try {
        await journal.append(events.retried(subject, event_id).text);
        return true;
      } catch {
        run.spending.giveBack('requests', 1);
        return false;
      }
    },
  });
  return { kind: 'permit', permit, decided_id: event_id, spending, open, waited: reserving instanceof Promise, finish: () => run.finish(stop) };
}

/** Nobody waits for a name on behalf of a run that has ended, or of a worker that stops. */
function unlessStopped<T>(found: Promise<T>, stop: Stop, why: () => SallyportError | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    stop.onStop = () => { reject(why() ?? new SallyportError('overloaded', stop.reason!.detail, { retry_after: 1 })); };
    const over = <A>(settle: (answer: A) => void) => (answer: A): void => {
      // Whoever forwards listens next.
      stop.onStop = undefined;
      settle(answer);
    };
    found.then(over(resolve), over(reject));
  });
}

function poolKey(runId: string, { scheme, host, port }: Egress, addresses: readonly PermittedAddress[]): string {
  return `${runId} ${scheme} ${host}:${port} ${addresses[0]?.address_class}`;
}

