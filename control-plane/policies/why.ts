import type { Balances } from '../../contracts/budget.ts';
import type { Decision, Effect, Reason } from '../../contracts/decision.ts';
import { errorCatalogue, type ErrorCode } from '../../contracts/errors.ts';
import { formatAuthority } from '../../contracts/host.ts';
import { buildPolicyInput } from '../../contracts/policy-input.ts';
import type { RunPolicy } from '../../contracts/run-policy.ts';
import type { RunState } from '../../contracts/run.ts';
import { addressOf, interceptStep, verdictOf } from '../../contracts/verdict.ts';
import type { Engine } from '../../engine/engine.ts';
import { balancesOf } from '../budgets/commands.ts';
import { getRun } from '../runs/commands.ts';
import { withWallClock, type Run } from '../runs/rules.ts';
import type { Services } from '../services.ts';
import { alternativesTo, isInternal, nameOf, otherPathsOf, partsOf, tunnelTo, type Question } from './question.ts';

/** Answer of `GET /chat/why`. */
export interface Why {
  /** Canonical, without query. */
  readonly url: string;
  readonly method: string;
  readonly act: 'connect' | 'request';
  readonly effect: Effect;
  /** What the proxy would refuse it with; null where it would not. */
  readonly code: ErrorCode | `core.${string}` | null;
  readonly reasons: readonly (Pick<Reason, 'effect' | 'rule' | 'message'> & Partial<Pick<Reason, 'pack' | 'visible_to_agent'>>)[];
  readonly next_steps: readonly string[];
  readonly budget: Balances;
  readonly run_state: RunState;
  readonly revision: string;
}

/** Named at most. */
const alternativesMax = 6;

/** What the proxy would answer now, and what would be allowed instead. `forAgent`: reasons that are not for its eyes are left out. */
export async function explain(services: Services, engine: Engine, run_id: string, asked: Question, forAgent: boolean): Promise<Why> {
  const { kysely } = services.database;
  const run = await getRun(kysely, run_id);
  const question = asked.scheme === 'https' && !run.policy.intercept ? tunnelTo(asked) : asked;
  const now = services.clock.now();
  const budget = withWallClock((await balancesOf(kysely, [run_id])).get(run_id) ?? {}, run, now);
  const known = { url: addressOf(question), method: question.method, act: question.act, budget, run_state: run.state, revision: engine.revision } as const;
  if (isInternal(question)) {
    return { ...known, effect: 'allow', code: null, reasons: [], next_steps: ['This is the API of your own run (/chat/...); policy and budget have no say in it.'] };
  }
  const decide = (one: Question): Decision => engine.decide(buildPolicyInput(partsOf(one, run, now)));
  const judge = (one: Question): Answer => answerTo(decide, one, run.policy);
  const { decision, ...answer } = judge(question);
  const shown = decision.reasons.filter(({ visible_to_agent }) => visible_to_agent || !forAgent);
  const next_steps = [...inTheWay(run, budget), ...answer.next_steps, ...alternatives(answer, question, run.policy, judge), ...notes(run, answer, question)];
  return { ...known, effect: answer.effect, code: answer.code, reasons: forAgent ? shown.map(({ effect, rule, message }) => ({ effect, rule, message })) : shown, next_steps };
}

interface Answer {
  readonly effect: Effect;
  readonly code: Why['code'];
  readonly next_steps: readonly string[];
  readonly decision: Decision;
}

/** As `proxy/enforce/` takes it: a request in TLS needs its tunnel, and a tunnel that nobody may look into a rule that lets it pass unseen. */
function answerTo(decide: (question: Question) => Decision, question: Question, policy: RunPolicy): Answer {
  const first = decide(question.scheme === 'https' ? tunnelTo(question) : question);
  if (first.effect !== 'allow') return refusal(first, question, policy);
  const allowed = (decision: Decision, next_steps: readonly string[] = []): Answer => ({ effect: 'allow', code: null, next_steps, decision });
  if (question.act === 'request' && question.scheme === 'http') return allowed(first);
  if (first.obligations.some(({ type }) => type === 'passthrough')) return allowed(first, question.act === 'request' ? ['It goes through an opaque tunnel: nobody looks inside, so method and path do not matter.'] : []);
  if (question.act === 'request') {
    const inside = decide(question);
    return inside.effect === 'allow' ? allowed(inside) : refusal(inside, question, policy);
  }
  if (policy.intercept) return allowed(first, ['Each request inside this tunnel, and inside its TLS, is judged by itself; anything else is refused.']);
  if (question.scheme === 'http' && question.port !== 443) return allowed(first, ['Plain HTTP inside this tunnel is judged request by request; anything else is refused.']);
  return { effect: 'deny', code: 'needs_interception', next_steps: [interceptStep(question)], decision: first };
}

function refusal(decision: Decision, question: Question, policy: RunPolicy): Answer {
  const { effect, code, next_steps } = verdictOf(decision, question, { policy });
  return { effect, code, next_steps: next_steps.length > 0 || code.startsWith('core.') ? next_steps : [errorCatalogue[code as ErrorCode].next], decision };
}

/** What holds everything up, whatever policy says. */
function inTheWay({ state, reason }: Run, budget: Balances): readonly string[] {
  const steps = state === 'Active' ? [] : [`The run is ${state}${reason === undefined ? '' : ` (${reason})`}: nothing is sent unless it is Active.`];
  const out = Object.entries(budget).filter(([, { limit, used }]) => limit !== null && used >= limit).map(([meter]) => meter);
  if (out.length > 0) steps.push(`Used up: ${out.join(', ')}. Ask the operator for a larger budget.`);
  return steps;
}

/** What would be allowed at this host; nothing where a rule that nothing can lift is in the way. */
function alternatives({ effect, code }: Pick<Answer, 'effect' | 'code'>, question: Question, policy: RunPolicy, judge: (asked: Question) => Answer): readonly string[] {
  if (effect === 'allow' || code?.startsWith('core.') === true) return [];
  const named = (questions: readonly Question[]): readonly string[] => [...new Set(questions.filter((one) => helps(judge(one), one)).map(nameOf))].slice(0, alternativesMax);
  const here = named(alternativesTo(question));
  const allowed = here.length > 0 ? here : named(otherPathsOf(question, policy));
  return [allowed.length === 0 ? `Nothing else is allowed at ${formatAuthority(question.host, question.port)} either; going around the proxy will not work.` : `Allowed here instead: ${allowed.join(', ')}.`];
}

/** A tunnel in which each request is judged again says nothing yet. */
function helps({ effect, decision: { obligations } }: Answer, { act, scheme }: Question): boolean {
  return effect === 'allow' && (act === 'request' || scheme === 'http' || obligations.some(({ type }) => type === 'passthrough'));
}

function notes({ policy }: Run, { effect, code }: Pick<Answer, 'effect' | 'code'>, question: Question): readonly string[] {
  if (effect !== 'allow') return policy.mode === 'observe' && code?.startsWith('core.') !== true ? ['This run is only observed: it would be let through, and what is said here recorded.'] : [];
  return question.is_ip_literal ? [] : ['No name was looked up for this: an address that is not public is refused when it is dialled.'];
}
