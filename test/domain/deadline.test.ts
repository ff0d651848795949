import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { backoffMs } from '../../src/domain/deadline.ts';

describe('the pause before another attempt', () => {
  it.each([
    [0, 100],
    [1, 200],
    [3, 800],
    [4, 1000],
    [5000, 1000],
  ])('after %d failures is between half of %d ms and all of it', (failures, wholeMs) => {
    const pauses = Array.from({ length: 1000 }, () => backoffMs(failures, 100, 1000));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(wholeMs / 2);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(wholeMs);
    expect(new Set(pauses).size).toBeGreaterThan(1);
  });

  it('is 0 without a first pause, however many attempts failed', () => {
    expect(backoffMs(1024, 0, 1000)).toBe(0);
  });

  it('is at most the longest pause', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (failures, firstMs, longestMs) => {
        expect(backoffMs(failures, firstMs, longestMs)).toBeLessThanOrEqual(longestMs);
      }),
    );
  });
});
