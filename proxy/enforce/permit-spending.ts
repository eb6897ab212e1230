import type { SpendableMeter } from '../../contracts/budget.ts';
import type { Outcome, Spending } from './permit.ts';
import type { RunSpending } from './spending.ts';
import { reasonOf, type Stop } from './stop.ts';

type Bytes = Extract<SpendableMeter, 'bytes_out' | 'bytes_in'>;

/**
 * One permit's share of its run's spending: what it took is what its outcome has to account for. Whoever forwards may err (a wait that
 * ends after the exchange did), so at most what was taken can be given back, and nothing moves once the outcome is settled.
 */
export class PermitSpending implements Spending {
  readonly #run: RunSpending;
  readonly #stop: Stop;
  readonly #taken: Record<SpendableMeter, number> = { requests: 0, bytes_out: 0, bytes_in: 0 };
  #settled = false;

  constructor(run: RunSpending, stop: Stop) {
    this.#run = run;
    this.#stop = stop;
  }

  take(meter: SpendableMeter, units: number): number {
    if (this.#settled) return 0;
    const taken = this.#run.take(meter, units);
    this.#taken[meter] += taken;
    return taken;
  }

  giveBack(meter: SpendableMeter, units: number): void {
    if (this.#settled) return;
    const given = Math.min(units, this.#taken[meter]);
    this.#taken[meter] -= given;
    this.#run.giveBack(meter, given);
  }

  /** False only where the budget refuses; anything else that ends the exchange goes by its stop signal, which names it. */
  async more(meter: SpendableMeter, units: number): Promise<boolean> {
    // Nothing is taken any more: who was told that there is some would ask without end, and hold up the process.
    if (this.#settled) return false;
    const problem = await this.#run.more(meter, units);
    if (problem === undefined) return true;
    if (problem.code !== 'budget_exhausted') this.#stop.stop(reasonOf(problem));
    return false;
  }

  /** Gives back what was taken and did not flow. Gives how many bytes flowed that were never taken: a fault of ours. */
  settle(outcome: Outcome): number {
    this.#settled = true;
    return this.#settle('bytes_out', outcome.bytes_out) + this.#settle('bytes_in', outcome.bytes_in);
  }

  #settle(meter: Bytes, flowed: number): number {
    const unused = this.#taken[meter] - flowed;
    if (unused > 0) this.#run.giveBack(meter, unused);
    this.#taken[meter] = flowed;
    return Math.max(0, -unused);
  }

  /** What is known to have been taken, for an exchange that ended without an outcome. */
  get taken(): { readonly bytes_out: number; readonly bytes_in: number } {
    return this.#taken;
  }
}
