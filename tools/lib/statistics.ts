/** Returns the value below which `share` of the numbers lie, or NaN without numbers. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Returns the median, or NaN without numbers. */
export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** Returns the mean, or NaN without numbers. */
export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** Adds the counts of both, key by key. */
export function addCounts(
  ones: Readonly<Record<number, number>>,
  others: Readonly<Record<number, number>>,
): Record<number, number> {
  const sum: Record<number, number> = { ...ones };
  for (const [key, count] of Object.entries(others))
    sum[Number(key)] = (sum[Number(key)] ?? 0) + count;
  return sum;
}

/** Formats counts of statuses, such as `200: 31, 503: 2`. Status 0 stands for a request without a response. */
export function formatCounts(statuses: Readonly<Record<number, number>>): string {
  const parts = Object.entries(statuses).map(
    ([status, count]) => `${status === '0' ? 'no answer' : status}: ${count}`,
  );
  return parts.length === 0 ? 'none' : parts.join(', ');
}

/** The quantiles of a series of samples, and their number. */
export interface Summary {
  readonly p50: number;
  readonly p99: number;
  readonly samples: number;
}

/** Returns the quantiles of samples. */
export function summarize(samples: readonly number[]): Summary {
  return { p50: quantile(samples, 0.5), p99: quantile(samples, 0.99), samples: samples.length };
}

/** The target of a figure. A value within `near` counts as close to the target. */
export type Aim =
  | { readonly atMost: number; readonly near?: number }
  | { readonly atLeast: number; readonly near?: number };

/** The result of a comparison with a target. */
export type Verdict = 'met' | 'near' | 'MISSED';

/** Compares a figure with its target. NaN, the result of a failed measurement, misses every target. */
export function judge(value: number, aim: Aim): Verdict {
  const isWithin = (limit: number): boolean => ('atMost' in aim ? value <= limit : value >= limit);
  if (isWithin('atMost' in aim ? aim.atMost : aim.atLeast)) return 'met';
  return aim.near !== undefined && isWithin(aim.near) ? 'near' : 'MISSED';
}
