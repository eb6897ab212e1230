import type { Obligation } from '../../contracts/decision.ts';
import { SallyportError } from '../../contracts/errors.ts';

/** What a decision obliges us to, armed. */
export interface Armed {
  /** The inside of a tunnel may stay unseen. */
  readonly passthrough: boolean;
  /** So may bytes that are not TLS, and a server may speak first. Never without `passthrough` (contracts/decision.ts). */
  readonly raw: boolean;
}

const nothing: Armed = { passthrough: false, raw: false };

/**
 * Arms what can be done: `passthrough` and `intercept` decide with `raw` what becomes of a tunnel, `log` is done for every exchange. An
 * obligation that cannot be performed turns the allow into a refusal (`policy_invalid_decision`).
 */
export function arm(obligations: readonly Obligation[]): Armed {
  let armed = nothing;
  for (const { type, rule } of obligations) {
    switch (type) {
      case 'passthrough':
        armed = { ...armed, passthrough: true };
        break;
      case 'raw':
        armed = { ...armed, raw: true };
        break;
      case 'intercept': case 'log':
        break;
      default:
        throw new SallyportError('policy_invalid_decision', `Rule ${rule} obliges this proxy to ${type}, which it cannot do.`);
    }
  }
  return armed;
}
