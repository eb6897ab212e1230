export function percentile(sorted: ArrayLike<number>, part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export const median = (numbers: readonly number[]): number => percentile(numbers.toSorted((a, b) => a - b), 0.5);

/** Least squares: what `values` grow by while `times` grows by one. */
export function slope(times: readonly number[], values: readonly number[]): number {
  const meanTime = times.reduce((sum, time) => sum + time, 0) / times.length;
  const meanValue = values.reduce((sum, value) => sum + value, 0) / values.length;
  let above = 0;
  let below = 0;
  for (const [index, time] of times.entries()) {
    above += (time - meanTime) * ((values[index] ?? meanValue) - meanValue);
    below += (time - meanTime) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
