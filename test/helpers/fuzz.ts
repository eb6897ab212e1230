/** How many cases a fuzz target tries: FUZZ_CASES, or few enough for every run of the suite. */
const cases = Number(process.env['FUZZ_CASES'] ?? 2000);

/** A share of them, for targets that are more than one property. */
export function fuzzRuns(share: number = 1): number {
  return Math.max(100, Math.round(cases * share));
}
