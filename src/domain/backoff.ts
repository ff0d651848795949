/**
 * Returns how long to wait before another attempt, in milliseconds: `firstMs` doubled with each failure, at most `longestMs`.
 * At most half of it is taken off at random, so that replicas do not all retry at once.
 */
export function backoffMs(failures: number, firstMs: number, longestMs: number): number {
  // Bounded: 2 ** 1024 is Infinity.
  const wholeMs = Math.min(firstMs * 2 ** Math.min(failures, 32), longestMs);
  return wholeMs * (0.5 + Math.random() / 2);
}
