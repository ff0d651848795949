import { quantile } from '../fleet/statistics.ts';

/** What is told of the samples of a lane. */
export interface Summary {
  readonly p50: number;
  readonly p99: number;
  readonly samples: number;
}

export function summarize(samples: readonly number[]): Summary {
  return { p50: quantile(samples, 0.5), p99: quantile(samples, 0.99), samples: samples.length };
}

/** What is wished of a figure; `near` is where the work that is left is no longer worth much. */
export type Aim =
  | { readonly atMost: number; readonly near?: number }
  | { readonly atLeast: number; readonly near?: number };

export type Verdict = 'met' | 'near' | 'MISSED';

/** Whether a figure is as wished. NaN, which no measurement brought about, is not. */
export function judge(value: number, aim: Aim): Verdict {
  const isWithin = (limit: number): boolean => ('atMost' in aim ? value <= limit : value >= limit);
  if (isWithin('atMost' in aim ? aim.atMost : aim.atLeast)) return 'met';
  return aim.near !== undefined && isWithin(aim.near) ? 'near' : 'MISSED';
}
