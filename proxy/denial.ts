import type { Effect, Reason } from '../contracts/decision.ts';
import { errorCatalogue, type ErrorCode, type SallyportError } from '../contracts/errors.ts';
import type { Refusal } from './exchange.ts';

export type DenialCode = Refusal['code'];

/** A request that is not sent, and why: what the agent hears and what is recorded come from here. */
export interface Denial {
  readonly code: DenialCode;
  /** `fault`: we could not decide or do, as opposed to deciding against it. */
  readonly effect: Exclude<Effect, 'allow'> | 'fault';
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly reasons: readonly Reason[];
  readonly next_steps: readonly string[];
  readonly retry_after: number | undefined;
  /** No rule spoke at all. */
  readonly default: boolean;
  /** The address that was in the way. */
  readonly address: string | undefined;
  /** The meter that is used up. */
  readonly meter: string | undefined;
}

export interface DenialExtras {
  readonly reasons?: readonly Reason[];
  readonly next_steps?: readonly string[];
  readonly default?: boolean;
  readonly address?: string | undefined;
  readonly meter?: string | undefined;
}

const notFaults: ReadonlySet<ErrorCode> = new Set(['not_supported']);

/** A refusal by code of the catalogue. */
export function denialOf(problem: SallyportError, extras: DenialExtras = {}): Denial {
  const { status, title, next, expose } = problem.entry;
  return {
    code: problem.code,
    effect: status >= 500 && !notFaults.has(problem.code) ? 'fault' : 'deny',
    status, title,
    detail: expose ? problem.message : `${title}.`,
    reasons: extras.reasons ?? [],
    next_steps: extras.next_steps ?? problem.extras.next_steps ?? [next],
    retry_after: problem.retry_after,
    default: extras.default ?? false,
    address: extras.address,
    meter: extras.meter,
  };
}

/** A refusal by a rule of `core`, whose id is its code. */
export function coreDenial(rule: `core.${string}`, detail: string, extras: DenialExtras): Denial {
  const { status, title, next } = errorCatalogue.policy_denied;
  return {
    code: rule, effect: 'deny', status, title, detail, reasons: extras.reasons ?? [], next_steps: extras.next_steps ?? [next],
    retry_after: undefined, default: false, address: extras.address, meter: undefined,
  };
}

/** What the agent hears; rules that are not meant for its eyes are left out. */
export function refusalByDenial(denial: Denial, egressId: string): Refusal {
  const { code, status, title, detail, reasons, next_steps, retry_after } = denial;
  return {
    code, status, title, detail, next_steps, egress_id: egressId,
    reasons: reasons.filter(({ effect, visible_to_agent }) => visible_to_agent && effect !== 'allow').map(({ rule, message }) => ({ rule, message })),
    ...(retry_after !== undefined && { retry_after }),
  };
}
