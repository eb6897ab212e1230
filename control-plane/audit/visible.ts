import type { Event } from '../../contracts/event.ts';
import type { RunAction } from '../../contracts/run-api.ts';

interface OfRule {
  readonly rule?: unknown;
  readonly visible_to_agent?: unknown;
}

/** An action without the rules that its agent may not hear of: it is told nothing here that its refusals leave out. */
export function asAgentSees({ event, ...action }: RunAction): RunAction {
  const reasons = listOf(event.payload['reasons']);
  const shown = reasons.filter(({ visible_to_agent }) => visible_to_agent === true);
  const hidden = new Set(reasons.map(({ rule }) => rule));
  for (const { rule } of shown) hidden.delete(rule);
  if (hidden.size === 0 && shown.length === reasons.length) return { event, ...action };
  const { obligations } = event.payload;
  const payload = { ...event.payload, reasons: shown, ...obligations !== undefined && { obligations: listOf(obligations).filter(({ rule }) => !hidden.has(rule)) } } as unknown as Event['payload'];
  return { ...action, event: { ...event, payload, ...event.policy && { policy: { ...event.policy, rules: event.policy.rules.filter((rule) => !hidden.has(rule)) } } } };
}

function listOf(value: unknown): readonly OfRule[] {
  return Array.isArray(value) ? value as readonly OfRule[] : [];
}
