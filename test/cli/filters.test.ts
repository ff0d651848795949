import { describe, expect, it } from '@jest/globals';
import { CommandError } from '../../src/cli/failures.ts';
import { hasFilter, readFilter, readOrder, type FilterOptions } from '../../src/cli/filters.ts';
import { listed } from './sessions.ts';

describe('a filter', () => {
  it.each<[FilterOptions, boolean]>([
    [{}, true],
    [{ user: ['app'] }, true],
    [{ user: ['ap'] }, false],
    [{ user: ['APP'] }, false],
    [{ user: ['a*'] }, true],
    [{ user: ['a?p'] }, true],
    [{ user: ['other', 'app'] }, true],
    [{ user: ['!app'] }, false],
    [{ user: ['a*', '!app'] }, false],
    [{ user: ['!other'] }, true],
    [{ user: ['/^AP/'] }, false],
    [{ user: ['/^AP/i'] }, true],
    [{ host: ['10.0.0.4'] }, true],
    [{ host: ['10.0.0.4:51234'] }, true],
    [{ host: ['10.0.0.*'] }, true],
    [{ host: ['10.0.0'] }, false],
    [{ host: ['!10.0.0.4'] }, false],
    [{ command: ['query'] }, true],
    [{ state: ['sending*'] }, true],
    [{ info: ['select ?'] }, true],
    [{ minTime: '12s' }, true],
    [{ minTime: '13' }, false],
    [{ user: ['app'], db: ['other'] }, false],
  ])('%j passes the session: %j', (options, isPassed) => {
    expect(readFilter(options)(listed())).toBe(isPassed);
  });

  it('matches the special characters of paths and regular expressions literally', () => {
    const info = 'SELECT SLEEP(600), (a|b), {x,y}, [1], $1, a.b+c /* \\ */\nFROM t';
    const passes = (pattern: string): boolean => readFilter({ info: [pattern] })(listed({ info }));
    expect(passes(info)).toBe(true);
    expect(passes('SELECT SLEEP(*')).toBe(true);
    expect(passes('*(a|b)*')).toBe(true);
    expect(passes('*(a*')).toBe(true);
    expect(passes('*(c)*')).toBe(false);
    expect(passes('*axb+c*')).toBe(false);
  });

  it.each<FilterOptions>([
    { user: [''] },
    { db: ['!'] },
    { info: ['/(/'] },
    { info: ['/a/g'] },
    { minTime: 'soon' },
  ])('is a usage error as %j', (options) => {
    expect(() => readFilter(options)).toThrow(CommandError);
  });

  it('is present if any option sets one', () => {
    expect(hasFilter({})).toBe(false);
    expect(hasFilter({ minTime: '1' })).toBe(true);
    expect(hasFilter({ info: ['*'] })).toBe(true);
  });
});

describe('a sort order', () => {
  const sessions = [
    listed({ id: 9_007_199_254_740_993n, time: 1 }),
    listed({ id: 2n, time: 5 }),
    listed({ id: 9_007_199_254_740_992n, time: 5 }),
  ];
  const ids = (key: string): bigint[] => [...sessions].sort(readOrder(key)).map(({ id }) => id);

  it('compares ids exactly, and puts equal sessions in the order of their ids', () => {
    expect(ids('id')).toEqual([2n, 9_007_199_254_740_992n, 9_007_199_254_740_993n]);
    expect(ids('time')).toEqual([9_007_199_254_740_993n, 2n, 9_007_199_254_740_992n]);
  });

  it('is reversed by a dash', () => {
    expect(ids('-time')).toEqual([2n, 9_007_199_254_740_992n, 9_007_199_254_740_993n]);
  });

  it('is a usage error with an unknown key', () => {
    expect(() => readOrder('age')).toThrow(CommandError);
  });
});
