/** Returns the value below which `share` of the numbers lie; NaN of none. */
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

/** Formats counts of statuses, as in `200: 31, 503: 2`; status 0 is a request without an answer. */
export function formatCounts(statuses: Readonly<Record<number, number>>): string {
  const parts = Object.entries(statuses).map(
    ([status, count]) => `${status === '0' ? 'no answer' : status}: ${count}`,
  );
  return parts.length === 0 ? 'none' : parts.join(', ');
}

/** The figures of the samples of a lane. */
export interface Summary {
  readonly p50: number;
  readonly p99: number;
  readonly samples: number;
}

export function summarize(samples: readonly number[]): Summary {
  return { p50: quantile(samples, 0.5), p99: quantile(samples, 0.99), samples: samples.length };
}

/** The target of a figure; from `near` on, further work is no longer worth much. */
export type Aim =
  | { readonly atMost: number; readonly near?: number }
  | { readonly atLeast: number; readonly near?: number };

export type Verdict = 'met' | 'near' | 'MISSED';

/** Compares a figure with its target. NaN, which no measurement brought about, misses every target. */
export function judge(value: number, aim: Aim): Verdict {
  const isWithin = (limit: number): boolean => ('atMost' in aim ? value <= limit : value >= limit);
  if (isWithin('atMost' in aim ? aim.atMost : aim.atLeast)) return 'met';
  return aim.near !== undefined && isWithin(aim.near) ? 'near' : 'MISSED';
}
