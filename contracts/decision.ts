import type { JsonValue } from './json.ts';

/** deny > require_approval > allow > default deny. */
export type Effect = 'allow' | 'deny' | 'require_approval';

/** One rule's contribution. `rule` starts with the name of its pack (`github.no_delete`). */
export interface Reason {
  readonly effect: Effect;
  readonly rule: string;
  readonly pack: string;
  readonly message: string;
  readonly visible_to_agent: boolean;
}

export type ApprovalScope = 'request' | 'host' | 'run' | 'session';

export interface ApprovalTerms {
  readonly scope: ApprovalScope;
  readonly ttl_seconds: number;
  readonly max_uses: number;
  readonly votes: number;
}

export type ObligationType =
  | 'intercept' | 'passthrough' | 'raw' | 'inject_secret' | 'redact_header' | 'limit' | 'timeout' | 'rewrite_path' | 'log' | 'hold';

/** What the enforcer must do for an allow to stand; one that it cannot perform turns the allow into a deny. */
export interface Obligation {
  readonly type: ObligationType;
  readonly rule: string;
  readonly params: Readonly<Record<string, JsonValue>>;
}

/**
 * The immutable answer of policy to one act. All reasons of every effect are kept; obligations only on an allow. `default` is
 * true when no rule spoke. `approval` is null unless the effect is `require_approval`. An allowed `connect` has exactly one of
 * `intercept` (what is inside must be judged) and `passthrough` (a TLS tunnel may stay unseen; its SNI is still checked). Beside
 * `passthrough`, and never without it, `raw` lets bytes through that are not TLS, and servers that speak first.
 */
export interface Decision {
  readonly v: 1;
  readonly effect: Effect;
  readonly default: boolean;
  readonly reasons: readonly Reason[];
  readonly approval: ApprovalTerms | null;
  readonly obligations: readonly Obligation[];
}

const decisionLimits = { reasons: 64, obligations: 32, message: 500, params: 16 } as const;

const effects: ReadonlySet<unknown> = new Set<Effect>(['allow', 'deny', 'require_approval']);
const scopes: ReadonlySet<unknown> = new Set<ApprovalScope>(['request', 'host', 'run', 'session']);
const limitParams: ReadonlySet<string> = new Set(['max_request_bytes', 'max_response_bytes', 'rate_per_minute']);

/** Parameters that an obligation may have; what is misspelt would otherwise be silently not done. */
const obligationParams: Readonly<Record<ObligationType, ReadonlySet<string>>> = {
  intercept: new Set(), passthrough: new Set(), raw: new Set(), log: new Set(), limit: limitParams,
  inject_secret: new Set(['secret', 'header']), redact_header: new Set(['header']), timeout: new Set(['milliseconds']),
  rewrite_path: new Set(['path']), hold: new Set(['seconds']),
};

const rulePattern = /^([a-z][a-z0-9_]{0,39})\.[a-z0-9_.]{1,80}$/;

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown, count: number): value is Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  let seen = 0;
  for (const key in value) if (Object.hasOwn(value, key)) seen++;
  return seen === count;
}

function isText(value: unknown, longest: number): value is string {
  // Half a surrogate pair has no canonical form, so what is recorded of it could not be taken into the chain.
  return typeof value === 'string' && value.length <= longest && value.isWellFormed();
}

function isCount(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function reasonFault(value: unknown): string | undefined {
  if (!isFields(value, 5)) return 'a reason is not an object of exactly effect, rule, pack, message, visible_to_agent';
  if (!effects.has(value['effect'])) return 'a reason has an unknown effect';
  const { rule, pack } = value;
  if (typeof rule !== 'string' || typeof pack !== 'string' || rulePattern.exec(rule)?.[1] !== pack) return 'a reason names a rule that is not of its pack';
  if (!isText(value['message'], decisionLimits.message)) return `the message of ${rule} is not a well-formed text of at most ${decisionLimits.message} characters`;
  if (typeof value['visible_to_agent'] !== 'boolean') return `visible_to_agent of ${rule} is not a boolean`;
  return undefined;
}

function obligationFault(value: unknown): string | undefined {
  if (!isFields(value, 3)) return 'an obligation is not an object of exactly type, rule, params';
  const { type, rule, params } = value;
  if (typeof type !== 'string' || !Object.hasOwn(obligationParams, type)) return 'an obligation has an unknown type';
  if (typeof rule !== 'string' || !rulePattern.test(rule)) return `an obligation ${type} names no rule`;
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return `params of ${type} are not an object`;
  const known = obligationParams[type as ObligationType];
  let seen = 0;
  for (const [key, parameter] of Object.entries(params)) {
    if (!known.has(key)) return `params of ${type} have an unknown key`;
    if (++seen > decisionLimits.params) return `params of ${type} are too many`;
    if (typeof parameter !== 'string' && !isCount(parameter, 0)) return `params of ${type} are neither texts nor whole numbers`;
    if (type === 'limit' && typeof parameter !== 'number') return 'params of limit are not whole numbers';
  }
  return undefined;
}

function approvalFault(value: unknown): string | undefined {
  if (!isFields(value, 4)) return 'approval is not an object of exactly scope, ttl_seconds, max_uses, votes';
  if (!scopes.has(value['scope'])) return 'approval has an unknown scope';
  if (!isCount(value['ttl_seconds'], 1) || !isCount(value['max_uses'], 1) || !isCount(value['votes'], 1)) return 'approval has a count below 1';
  return undefined;
}

/** A decision's own logic: the effect must follow from the reasons, so that a faulty aggregator cannot allow. */
function precedenceFault(decision: Decision): string | undefined {
  const has = (effect: Effect): boolean => decision.reasons.some((reason) => reason.effect === effect);
  const expected: Effect = has('deny') ? 'deny' : has('require_approval') ? 'require_approval' : has('allow') ? 'allow' : 'deny';
  if (decision.effect !== expected) return `effect is ${decision.effect} where the reasons give ${expected}`;
  if (decision.reasons.length === 0) return 'a decision has no reason';
  if ((decision.approval !== null) !== (expected === 'require_approval')) return 'approval does not fit the effect';
  if (decision.obligations.length > 0 && expected !== 'allow') return 'obligations without an allow';
  const obliged = (type: ObligationType): boolean => decision.obligations.some((obligation) => obligation.type === type);
  if (obliged('raw') && !obliged('passthrough')) return 'raw without passthrough';
  if (decision.default && (expected !== 'deny' || decision.reasons.length !== 1)) return 'default with reasons of rules';
  return undefined;
}

/**
 * Why `value` is not a decision (see `Decision`), or undefined when it is one; strict, unknown keys refused. Written by hand
 * because it runs on every decision: 1 us, where a schema library takes ten.
 */
export function decisionFault(value: unknown): string | undefined {
  if (!isFields(value, 6)) return 'the answer is not an object of exactly v, effect, default, reasons, approval, obligations';
  if (value['v'] !== 1) return 'v is not 1';
  if (!effects.has(value['effect'])) return 'effect is unknown';
  if (typeof value['default'] !== 'boolean') return 'default is not a boolean';
  const { reasons, approval, obligations } = value;
  if (!Array.isArray(reasons) || reasons.length > decisionLimits.reasons) return `reasons are not a list of at most ${decisionLimits.reasons}`;
  if (!Array.isArray(obligations) || obligations.length > decisionLimits.obligations) return `obligations are not a list of at most ${decisionLimits.obligations}`;
  for (const reason of reasons) {
    const fault = reasonFault(reason);
    if (fault !== undefined) return fault;
  }
  for (const obligation of obligations) {
    const fault = obligationFault(obligation);
    if (fault !== undefined) return fault;
  }
  const fault = approval === null ? undefined : approvalFault(approval);
  return fault ?? precedenceFault(value as unknown as Decision);
}
