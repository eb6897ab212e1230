import { z } from 'zod';

/** All meters of the glossary. The first four are enforced by the proxy. */
export const meters = [
  'requests', 'bytes_out', 'bytes_in', 'wall_clock_ms', 'llm_tokens', 'cost_usd_micros', 'steps', 'retries', 'storage_bytes',
] as const;
export type Meter = (typeof meters)[number];
export const meterSchema = z.enum(meters);

/** Meters that a proxy draws allowances of and spends in memory. Time is a deadline, not an allowance. */
export const spendableMeters = ['requests', 'bytes_out', 'bytes_in'] as const;
export type SpendableMeter = (typeof spendableMeters)[number];
const spendableMeterSchema = z.enum(spendableMeters);

/** Units of each meter; a missing meter is unlimited only where the caller says so. */
export type Amounts = Partial<Record<Meter, number>>;
export type Spent = Partial<Record<SpendableMeter, number>>;

const amount = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const amountsSchema = z.partialRecord(meterSchema, amount);
export const spentSchema = z.partialRecord(spendableMeterSchema, amount);

const spendable: ReadonlySet<string> = new Set(spendableMeters);

/**
 * Facts by which the ledger moves (`spent`, `returned`; see `eventTypes`), as `spentSchema` has them; undefined when they are not. By
 * hand, since two are read of each event.
 */
export function spentOf(value: unknown): Spent | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  for (const meter in value) {
    const units = (value as Readonly<Record<string, unknown>>)[meter];
    if (!spendable.has(meter) || !Number.isSafeInteger(units) || (units as number) < 0) return undefined;
  }
  return value;
}

const MiB = 1024 * 1024;

/** Limits of a run made over the API without a budget of its own (runs.md). `wall_clock_ms` is active time. */
export const defaultLimits: Readonly<Amounts> = {
  requests: 1000, bytes_out: 10 * MiB, bytes_in: 50 * MiB, wall_clock_ms: 300_000,
  llm_tokens: 100_000, cost_usd_micros: 500_000, steps: 50, retries: 3, storage_bytes: 50 * MiB,
};

/** The absolute deadline of every run, paused time included: 24 h unless given. */
export const defaultDeadlineMs = 24 * 3600 * 1000;

/** One meter's line in a status: `remaining = limit - used - reserved`; `limit: null` is unlimited. */
export interface Balance {
  readonly limit: number | null;
  readonly used: number;
  readonly reserved: number;
  readonly remaining: number | null;
}
export type Balances = Partial<Record<Meter, Balance>>;
