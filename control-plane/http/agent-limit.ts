import type { Middleware } from 'koa';
import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { State } from './context.ts';

/** Of one run's agent: so many at once, then so many a second. It has little to ask: its run, its refusals, a stream. */
const burst = 100;
const perSecond = 20;
/** Runs remembered; the one that asked least lately is forgotten beyond it, which only gives it its burst again. */
const maxRuns = 10_000;

interface Bucket {
  left: number;
  at: number;
}

/** Requests that the agent of a run may still make. */
export class AgentLimit {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes one; false where none is left. */
  take(run_id: string): boolean {
    const now = this.#clock.monotonic();
    const known = this.#buckets.get(run_id);
    const left = known === undefined ? burst : Math.min(burst, known.left + (now - known.at) / 1000 * perSecond);
    this.#buckets.delete(run_id);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= maxRuns && oldest !== undefined) this.#buckets.delete(oldest);
    this.#buckets.set(run_id, { left: left >= 1 ? left - 1 : left, at: now });
    return left >= 1;
  }
}

/** An agent that asks in a loop takes the time of its own run, not that of others. */
export function agentLimit(clock: Clock): Middleware<State> {
  const limit = new AgentLimit(clock);
  return async (ctx, next) => {
    const { principal } = ctx.state;
    if (principal.kind === 'agent' && !limit.take(principal.run_id)) throw new SallyportError('rate_limited', `An agent may ask ${perSecond} times a second.`);
    await next();
  };
}
