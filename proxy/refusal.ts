import { errorCatalogue, type ErrorCode, type ErrorEntry } from '../contracts/errors.ts';
import type { Refusal } from './exchange.ts';

/** A refusal in the words of the error catalogue; a rule of `core` is a `policy_denied` by its own name. `retry_after` in seconds; it and the steps are the catalogue's unless given. */
export function catalogueRefusal(code: Refusal['code'], detail: string, extras: { readonly egress_id?: string; readonly retry_after?: number; readonly next_steps?: readonly string[] | undefined } = {}): Refusal {
  const entry: ErrorEntry = errorCatalogue[Object.hasOwn(errorCatalogue, code) ? code as ErrorCode : 'policy_denied'];
  const { status, title, next, expose } = entry;
  const retry_after = extras.retry_after ?? entry.retry_after;
  return {
    code, status, title,
    detail: expose ? detail : title,
    reasons: [], next_steps: extras.next_steps ?? [next], egress_id: extras.egress_id,
    ...(retry_after !== undefined && { retry_after }),
  };
}
