import { spendableMeters, type Amounts, type Balances, type Meter, type SpendableMeter, type Spent } from '../../contracts/budget.ts';

/**
 * The most that one draw gives beyond what was asked for. A crash may leave this much counted as spent though it was not, and
 * what one worker holds another can't have; larger ones would save calls that are already rare.
 */
export const sliceCaps: Readonly<Record<SpendableMeter, number>> = { requests: 64, bytes_out: 1024 * 1024, bytes_in: 1024 * 1024 };

/** A draw gives about this part of what remains, so that slices grow small near the end and the last units lie idle nowhere. */
export const sliceDivisor = 4;

export interface BalanceRow {
  readonly run_id: string;
  readonly meter: Meter;
  readonly limit_units: number | null;
  readonly used: number;
  readonly reserved: number;
}

export function toBalances(rows: readonly Omit<BalanceRow, 'run_id'>[]): Balances {
  return Object.fromEntries(rows.map(({ meter, limit_units, used, reserved }) => [meter, {
    limit: limit_units,
    used,
    reserved,
    remaining: limit_units === null ? null : Math.max(0, limit_units - used - reserved),
  }]));
}

/** One row for each meter that is limited or that proxies spend; an unlimited one still counts. */
export function balanceRowsOf(limits: Amounts): readonly { readonly meter: Meter; readonly limit_units: number | null }[] {
  const names = new Set([...spendableMeters, ...Object.keys(limits) as Meter[]]);
  return [...names].map((meter) => ({ meter, limit_units: limits[meter] ?? null }));
}

/** What one journal has drawn of one meter of a run and not yet settled or given back. */
export interface Allowance {
  readonly run_id: string;
  readonly meter: SpendableMeter;
  readonly outstanding: number;
}

/** What a segment says of one run and meter: units spent, units given back. */
export interface Movement {
  readonly run_id: string;
  readonly meter: SpendableMeter;
  readonly spent: number;
  readonly returned: number;
}

/** How the books move: `covered` of `spent` were reserved; `released` go back to what remains. */
export interface Settlement extends Movement {
  readonly covered: number;
  readonly released: number;
}

/**
 * Spending is recorded whole even where it was never drawn (then `spent` > `covered`: a proxy that broke the rules), and
 * gives back at most what is outstanding, so that a reservation never falls below zero.
 */
export function settle(movements: readonly Movement[], allowances: readonly Allowance[]): readonly Settlement[] {
  const outstanding = new Map(allowances.map((allowance) => [keyOf(allowance), allowance.outstanding]));
  return movements.map((movement) => {
    const held = outstanding.get(keyOf(movement)) ?? 0;
    const covered = Math.min(movement.spent, held);
    const released = Math.min(movement.returned, held - covered);
    return { ...movement, covered, released };
  });
}

/**
 * A crashed worker's journal, closed by its successor: nothing will spend what it still holds. Requests are exact, each has its
 * `egress.decided`; bytes of a run with an exchange that was open may have passed unrecorded, so they count as used.
 */
export function recover(allowances: readonly Allowance[], openRuns: ReadonlySet<string>): readonly Movement[] {
  return allowances.filter(({ outstanding }) => outstanding > 0).map(({ run_id, meter, outstanding }) => {
    const perhapsUsed = meter !== 'requests' && openRuns.has(run_id);
    return { run_id, meter, spent: perhapsUsed ? outstanding : 0, returned: perhapsUsed ? 0 : outstanding };
  });
}

/** What one event says that moves the books. */
export interface Spending {
  readonly run_id: string;
  readonly spent?: Spent;
  readonly returned?: Spent;
}

/** Sums by run and meter, in the order in which rows are locked. */
export function sumMovements(facts: Iterable<Spending>): readonly Movement[] {
  const sums = new Map<string, { run_id: string; meter: SpendableMeter; spent: number; returned: number }>();
  for (const { run_id, spent, returned } of facts) {
    for (const meter of spendableMeters) {
      const units = { spent: spent?.[meter] ?? 0, returned: returned?.[meter] ?? 0 };
      if (units.spent === 0 && units.returned === 0) continue;
      const key = keyOf({ run_id, meter });
      const sum = sums.get(key) ?? { run_id, meter, spent: 0, returned: 0 };
      sum.spent += units.spent;
      sum.returned += units.returned;
      sums.set(key, sum);
    }
  }
  return [...sums.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
}

function keyOf({ run_id, meter }: { readonly run_id: string; readonly meter: SpendableMeter }): string {
  return `${run_id} ${meter}`;
}

const thresholds = [50, 80] as const;

/** The percentages of the limit that use has reached by going from `before` to `after`. */
export function thresholdsReached(limit: number | null, before: number, after: number): readonly number[] {
  if (limit === null || limit === 0) return [];
  const reached = (used: number, percent: number): boolean => used / limit >= percent / 100;
  return thresholds.filter((percent) => !reached(before, percent) && reached(after, percent));
}
