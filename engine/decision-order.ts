import type { Decision, Obligation, Reason } from '../contracts/decision.ts';

const reasonKey = (reason: Reason): string => `${reason.effect} ${reason.rule} ${reason.message}`;
const obligationKey = (obligation: Obligation): string => `${obligation.type} ${obligation.rule} ${JSON.stringify(obligation.params)}`;

function sorted<T>(items: readonly T[], key: (item: T) => string): readonly T[] {
  return items.length < 2 ? items : items.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** The decision with its lists in order of their text: evaluators answer sets in an order of their own. */
export function inOrder(decision: Decision): Decision {
  if (decision.reasons.length < 2 && decision.obligations.length < 2) return decision;
  return { ...decision, reasons: sorted(decision.reasons, reasonKey), obligations: sorted(decision.obligations, obligationKey) };
}
