import type { RouterContext } from '@koa/router';
import type { Principal } from '../access/rules.ts';

/** What the steps before a route have put on the request. */
export interface State {
  /** Set by request-id.ts; the `instance` of its problem document and the correlation id of what it creates. */
  requestId: string;
  /** Set by authentication.ts. */
  principal: Principal;
}

export type Context = RouterContext<State>;
