import type { Amounts, Meter } from '../contracts/budget.ts';

/** A value that was read, or the sentence that says which part of it is wrong. */
export type Parsed<T> = { readonly value: T } | { readonly mistake: string };

interface MeterWord {
  readonly meter: Meter;
  readonly unit: 'count' | 'bytes' | 'time' | 'dollars' | 'milliseconds';
  /** False while nothing enforces the meter: a limit that nobody holds must not look like one. */
  readonly enforced: boolean;
}

const words: ReadonlyMap<string, MeterWord> = new Map<string, MeterWord>([
  ['requests', { meter: 'requests', unit: 'count', enforced: true }],
  ['bytes_out', { meter: 'bytes_out', unit: 'bytes', enforced: true }],
  ['bytes_in', { meter: 'bytes_in', unit: 'bytes', enforced: true }],
  ['wall_clock', { meter: 'wall_clock_ms', unit: 'time', enforced: true }],
  ['wall_clock_ms', { meter: 'wall_clock_ms', unit: 'milliseconds', enforced: true }],
  ['llm_tokens', { meter: 'llm_tokens', unit: 'count', enforced: false }],
  ['cost_usd', { meter: 'cost_usd_micros', unit: 'dollars', enforced: false }],
  ['cost_usd_micros', { meter: 'cost_usd_micros', unit: 'count', enforced: false }],
  ['steps', { meter: 'steps', unit: 'count', enforced: false }],
  ['retries', { meter: 'retries', unit: 'count', enforced: false }],
  ['storage_bytes', { meter: 'storage_bytes', unit: 'bytes', enforced: false }],
]);

const byteUnits: ReadonlyMap<string, number> = new Map([
  ['', 1], ['B', 1], ['KB', 1e3], ['MB', 1e6], ['GB', 1e9], ['TB', 1e12],
  ['KiB', 2 ** 10], ['MiB', 2 ** 20], ['GiB', 2 ** 30], ['TiB', 2 ** 40],
]);
const timeUnits: ReadonlyMap<string, number> = new Map([['ms', 1], ['s', 1000], ['m', 60_000], ['h', 3_600_000], ['d', 86_400_000]]);

export interface BudgetOption {
  readonly amounts: Amounts;
  /** Meters that were named though nothing enforces them yet. */
  readonly unenforced: readonly string[];
}

/** `METER=N[,METER=N...]`, N with a unit where the meter has one. All mistakes, not just the first. */
export function parseBudget(texts: readonly string[]): { readonly budget: BudgetOption; readonly mistakes: readonly { readonly text: string; readonly mistake: string }[] } {
  const amounts: Amounts = {};
  const unenforced: string[] = [];
  const mistakes: { text: string; mistake: string }[] = [];
  for (const text of texts) {
    for (const part of text.split(',')) {
      const equals = part.indexOf('=');
      const name = equals < 0 ? part : part.slice(0, equals);
      const word = words.get(name);
      const parsed = word === undefined
        ? { mistake: `"${name}" is not a meter (there are ${[...words].filter(([, { enforced }]) => enforced).map(([key]) => key).join(', ')})` }
        : equals < 0 ? { mistake: `"${part}" says no limit; write ${name}=N` } : parseAmount(part.slice(equals + 1), word.unit);
      if ('mistake' in parsed) mistakes.push({ text, mistake: parsed.mistake });
      else if (word !== undefined && amounts[word.meter] !== undefined) mistakes.push({ text, mistake: `${name} is limited twice` });
      else if (word !== undefined) {
        amounts[word.meter] = parsed.value;
        if (!word.enforced) unenforced.push(name);
      }
    }
  }
  return { budget: { amounts, unenforced }, mistakes };
}

/** An integer of the meter's units. */
export function parseAmount(text: string, unit: MeterWord['unit']): Parsed<number> {
  switch (unit) {
    case 'count':
    case 'milliseconds': return /^[0-9]+$/.test(text) ? whole(text, Number(text)) : { mistake: `"${text}" is not a whole number` };
    case 'bytes': return quantity(text, byteUnits, 'a size like 500KB, 10MiB or 1048576');
    case 'time': return duration(text);
    case 'dollars': {
      const match = /^([0-9]{1,9})(?:\.([0-9]{1,6}))?$/.exec(text);
      // By digits, since 0.1 has no exact binary form.
      return match === null ? { mistake: `"${text}" is not an amount of dollars like 0.50` }
        : whole(text, Number(match[1]) * 1_000_000 + Number((match[2] ?? '').padEnd(6, '0')));
    }
  }
}

function quantity(text: string, units: ReadonlyMap<string, number>, like: string): Parsed<number> {
  const match = /^([0-9]{1,16})(?:\.([0-9]{1,9}))?([A-Za-z]*)$/.exec(text);
  const unit = match === null ? undefined : units.get(match[3] ?? '');
  if (match === null || unit === undefined) return { mistake: `"${text}" is not ${like}` };
  return scaled(text, match[1] ?? '', match[2] ?? '', unit);
}

/** One or more parts, such as `90s` or `1h30m`. */
function duration(text: string): Parsed<number> {
  const wrong = { mistake: `"${text}" is not a time like 30s, 5m or 1h30m` };
  if (!/^(?:[0-9]{1,16}(?:\.[0-9]{1,9})?[a-z]{1,2})+$/.test(text)) return wrong;
  let total = 0;
  for (const [, before = '', after = '', name = ''] of text.matchAll(/([0-9]+)(?:\.([0-9]+))?([a-z]+)/g)) {
    const unit = timeUnits.get(name);
    if (unit === undefined) return wrong;
    const part = scaled(text, before, after, unit);
    if ('mistake' in part) return part;
    total += part.value;
  }
  return whole(text, total);
}

/** Exact, so that a limit is the number that was written. */
function scaled(text: string, before: string, after: string, unit: number): Parsed<number> {
  const scale = 10n ** BigInt(after.length);
  const product = BigInt(before + after) * BigInt(unit);
  return product % scale === 0n ? whole(text, Number(product / scale)) : { mistake: `"${text}" is not a whole number of units` };
}

function whole(text: string, value: number): Parsed<number> {
  return Number.isSafeInteger(value) ? { value } : { mistake: `"${text}" is too large` };
}
