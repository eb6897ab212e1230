import { errorCatalogue, type ErrorCode } from '../contracts/errors.ts';
import type { Refusal } from './exchange.ts';

/** A refusal in the words of the error catalogue; a rule of `core` is a `policy_denied` by its own name. `retry_after` in seconds. */
export function catalogueRefusal(code: Refusal['code'], detail: string, extras: { readonly egress_id?: string; readonly retry_after?: number } = {}): Refusal {
  const { status, title, next, expose } = errorCatalogue[Object.hasOwn(errorCatalogue, code) ? code as ErrorCode : 'policy_denied'];
  return {
    code, status, title,
    detail: expose ? detail : title,
    reasons: [], next_steps: [next], egress_id: extras.egress_id,
    ...(extras.retry_after !== undefined && { retry_after: extras.retry_after }),
  };
}
