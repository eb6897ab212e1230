export function percentile(sorted: ArrayLike<number>, part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const upper = percentile(sorted, 0.5);
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[sorted.length / 2 - 1] ?? Number.NaN)) / 2;
}

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
