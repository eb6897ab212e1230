import type { Clock } from '../../contracts/clock.ts';
import { SallyportError, toSallyportError } from '../../contracts/errors.ts';
import { bundleFromBytes } from '../../engine/bundle.ts';
import { openEngine, type Engine } from '../../engine/engine.ts';
import type { Judgement } from '../record/egress-events.ts';
import { signals } from '../signals.ts';
import { DecisionMemo } from './memo.ts';
import type { Question } from './question.ts';

export interface PolicyOptions {
  readonly clock: Clock;
  /** `GET /data-plane/bundles/:revision`. */
  readonly fetch: (revision: string) => Promise<Uint8Array>;
  readonly onReplaced: (revision: string, throws: number) => void;
  /** Another revision is in force. */
  readonly onSwapped: () => void;
}

const firstRetryMs = 100;
const longestRetryMs = 5000;

/** The policy in force. A new revision is fetched, verified, warmed up and only then swapped in; a bad one changes nothing. */
export class Policy {
  readonly #options: PolicyOptions;
  #engine: Engine | undefined;
  #memo: DecisionMemo | undefined;
  #dialIsOfPlace = false;
  #wanted = '';
  #loading: Promise<void> | undefined;

  constructor(options: PolicyOptions) {
    this.#options = options;
  }

  /** Of the policy in force; empty when there is none. */
  get revision(): string { return this.#engine?.revision ?? ''; }

  /**
   * Whether the answer to a dial depends on nothing but run and place: all else that a dial's input holds is the clock and the
   * credential signal, and this revision reads neither.
   */
  get dialIsOfPlace(): boolean { return this.#dialIsOfPlace; }

  unready(): SallyportError | undefined {
    return this.#engine === undefined ? new SallyportError('no_policy', 'The proxy has no policy yet.') : undefined;
  }

  decide(question: Question): Judgement {
    if (this.#memo === undefined) throw this.unready()!;
    return this.#memo.decide(question);
  }

  /** Settles when the revision is in force, cannot be used, or is not wanted any more. */
  load(revision: string): Promise<void> {
    if (this.#loading === undefined || this.#wanted !== revision) {
      this.#wanted = revision;
      const loading: Promise<void> = this.#load(revision).finally(() => { if (this.#loading === loading) this.#loading = undefined; });
      this.#loading = loading;
    }
    return this.#loading;
  }

  async #load(revision: string): Promise<void> {
    let retryMs = firstRetryMs;
    while (this.#wanted === revision && this.revision !== revision) {
      try {
        const engine = await this.#open(revision);
        if (this.#wanted !== revision) return;
        this.#engine = engine;
        this.#dialIsOfPlace = engine.bundle.manifest.input_paths.every(readsOnlyPlace);
        this.#memo = new DecisionMemo(engine, () => signals.fault.publish({ where: 'policy memo', error: new SallyportError('engine_error', 'A remembered decision differed from a fresh one; the memo is off.') }));
        signals.policy.publish({ revision, problem: undefined });
        this.#options.onSwapped();
        return;
      } catch (error) {
        const problem = toSallyportError(error);
        signals.policy.publish({ revision, problem });
        // A bundle that cannot be used stays so; the control plane will name another.
        if (!problem.entry.retryable) return;
        await new Promise<void>((resolve) => { this.#options.clock.setTimeout(resolve, retryMs, { background: true }); });
        retryMs = Math.min(retryMs * 2, longestRetryMs);
      }
    }
  }

  async #open(revision: string): Promise<Engine> {
    const bundle = bundleFromBytes(await this.#options.fetch(revision));
    if (bundle.revision !== revision) throw new SallyportError('policy_folder', `The control plane sent bundle ${bundle.revision} for ${revision}.`);
    return await openEngine(bundle, {
      now: () => this.#options.clock.monotonic(),
      onReplaced: ({ throws }) => this.#options.onReplaced(revision, throws),
    });
  }
}

function readsOnlyPlace([first, second]: readonly string[]): boolean {
  if (first === undefined || first === 'time') return false;
  return first !== 'signals' || (second !== undefined && second !== 'credential');
}
