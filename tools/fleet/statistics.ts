/** The value below which `share` of the numbers lie; NaN of none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** All counts of both. */
export function addCounts(
  ones: Readonly<Record<number, number>>,
  others: Readonly<Record<number, number>>,
): Record<number, number> {
  const sum: Record<number, number> = { ...ones };
  for (const [key, count] of Object.entries(others))
    sum[Number(key)] = (sum[Number(key)] ?? 0) + count;
  return sum;
}

/** As in `200: 31, 503: 2`. */
export function toldCounts(statuses: Readonly<Record<number, number>>): string {
  const parts = Object.entries(statuses).map(
    ([status, count]) => `${status === '0' ? 'no answer' : status}: ${count}`,
  );
  return parts.length === 0 ? 'none' : parts.join(', ');
}
