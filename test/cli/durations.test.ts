import { describe, expect, it } from '@jest/globals';
import { formatDuration, parseDuration } from '../../src/cli/durations.ts';

describe('a duration', () => {
  it.each([
    ['90', 90],
    ['90s', 90],
    ['5m', 300],
    ['1h30m', 5400],
    ['2d', 172_800],
    ['1d1h1m1s', 90_061],
    ['0', 0],
  ])('is parsed from %s', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each(['', 's', '5x', '-5', '5 m', '1.5h', '5m1h', '1e3', '٣m', '5m5m'])(
    'is not read from %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  it.each([
    [0, '0s'],
    [59, '59s'],
    [200, '3m20s'],
    [3600, '1h00m'],
    [7500, '2h05m'],
    [90_061, '1d01h'],
    [4_294_967_295, '49710d06h'],
  ])('of %d seconds is shown in its two largest units', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});
